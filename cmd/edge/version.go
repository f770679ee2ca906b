package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionVerb is edge version.
type versionVerb struct{}

// Run says version, commit and Go of this binary.
func (v *versionVerb) Run(t terminal) error {
	_, err := fmt.Fprintf(t.stdout, "edge %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var commit, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		if commit != "" {
			v += "-" + commit + dirty
		}
	}
	return v
}
