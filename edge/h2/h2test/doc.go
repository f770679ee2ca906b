// Package h2test drives a running edge over HTTP/2: by frames of its own choosing, hostile
// ones too, by h2spec, and by clients that people use.
package h2test
