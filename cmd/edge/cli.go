package main

// commandLine is the grammar of the command line. Each verb is a type with a
// Run method in a file of its own.
type commandLine struct {
	Serve   serveVerb   `cmd:"" default:"withargs" help:"Serve origins (the default)."`
	Check   checkVerb   `cmd:"" help:"Prove a configuration file and say everything that is wrong in it."`
	Purge   purgeVerb   `cmd:"" help:"Take urls, tags, prefixes, hosts or all out of the cache of a running edge."`
	Disk    diskVerb    `cmd:"" help:"Show, check or compact the disk tier of a running edge."`
	Top     topVerb     `cmd:"" help:"Show what a running edge does now."`
	Log     logVerb     `cmd:"" help:"Follow the requests of a running edge."`
	Reasons reasonsVerb `cmd:"" help:"Explain the reasons that logs, metrics and Cache-Status give."`
	Bench   benchVerb   `cmd:"" help:"Make workloads and replay them."`
	Health  healthVerb  `cmd:"" help:"Ask a running edge whether it is ready."`
	Version versionVerb `cmd:"" help:"Say which edge this is."`
}

// serveFlags go over what the configuration file says.
type serveFlags struct {
	Config    string   `placeholder:"FILE" help:"Configuration file (docs/reference.md)."`
	Origin    []string `sep:"none" placeholder:"URL" help:"Origin to serve, http://HOST[:PORT]; may be repeated."`
	Listen    []string `sep:"none" placeholder:"ADDR" help:"Address for HTTP, default :8080; may be repeated."`
	TLSListen []string `name:"tls-listen" sep:"none" placeholder:"ADDR" help:"Address for HTTPS; may be repeated."`
	Cert      []string `sep:"none" placeholder:"FILE" help:"Certificate for HTTPS, PEM; may be repeated with --key."`
	Key       []string `sep:"none" placeholder:"FILE" help:"Private key of the certificate, PEM."`
	Admin     string   `placeholder:"ADDR" help:"Address of the admin API, default 127.0.0.1:9145."`
	TokenFile string   `placeholder:"FILE" help:"File that holds the admin token, before $$EDGE_TOKEN."`
	Memory    string   `placeholder:"SIZE|N%" help:"Memory for the cache, default 25%."`
	Disk      string   `placeholder:"DIR|off" help:"Directory of the disk tier and the purge log."`
	DiskSize  string   `placeholder:"SIZE" help:"Size of the disk tier, default 1GiB."`
	AccessLog string   `placeholder:"FILE|-|off" help:"Access log, default - (standard output)."`
}

// adminFlags are how a verb finds the running edge.
type adminFlags struct {
	Config    string `placeholder:"FILE" help:"Configuration file of that edge, for its admin address and token."`
	Admin     string `placeholder:"URL" help:"Admin API, default http://127.0.0.1:9145."`
	TokenFile string `placeholder:"FILE" help:"File that holds the admin token, before $$EDGE_TOKEN."`
}
