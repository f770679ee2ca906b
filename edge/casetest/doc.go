// Package casetest holds the whole edge (wire, engine, store, purge log, on
// loopback sockets) to what hostile clients and broken origins must not
// achieve, to the rules of collapsing, and to the races between purges and
// fetches. It has tests only; testdata/*.jsonl are the cases by id.
package casetest
