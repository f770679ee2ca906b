// Package modeltest runs random requests, purges, time steps and broken
// origins against a real engine, and checks each answer against what a naive
// model allows. It has tests only.
package modeltest
