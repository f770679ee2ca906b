package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"edgecache/bench"
	"edgecache/bench/policies"
	"edgecache/bench/ratio"
	"edgecache/bench/report"
	"edgecache/cachestore"
)

// ratioVerb is edge bench ratio.
type ratioVerb struct {
	Files       []string `arg:"" name:"file" help:"Traces (time id size) or access logs (JSON, combined), plain, gzip or zstd."`
	Memory      []string `placeholder:"SIZE|N%" help:"Memory: a size, or a part of the input's unique bytes (1%). May be repeated."`
	Disk        []string `placeholder:"SIZE|N%" help:"Disk, likewise (10%); 0 or off for none."`
	Objective   string   `default:"objects" enum:"objects,balanced,bytes" help:"As disk.objective (${default})."`
	Admission   string   `default:"sz2" enum:"sz2,always" help:"As disk.admission (${default})."`
	NoReturners bool     `help:"As disk.returners: false."`
	Policies    []string `placeholder:"NAME" help:"Other policies beside LRU: fifo, gdsf, s3-fifo, sieve, w-tinylfu, w-tinylfu-av; or all."`
	Runs        int      `default:"1" help:"Runs of edge's choice, each with other hashes; the median is shown (${default})."`
	Overhead    bool     `help:"Count what edge adds to an object, too."`
	Report      string   `placeholder:"FILE" help:"Write curves to one HTML file."`
	JSON        bool     `name:"json" help:"Print a JSON line an input and size."`
}

// Run compares each file.
func (v *ratioVerb) Run(ctx context.Context, t terminal) error {
	c, err := v.config()
	if err != nil {
		return err
	}
	var sections []report.Section
	for i, path := range v.Files {
		more, err := v.one(ctx, t, path, c, i > 0)
		if err != nil {
			return err
		}
		sections = append(sections, more...)
	}
	if v.Report == "" {
		return nil
	}
	if len(sections) == 0 {
		return errors.New("no report: memory is too small for curves")
	}
	f, err := os.Create(v.Report)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	out := bufio.NewWriter(f)
	if err := errors.Join(ratio.WriteReport(out, sections), out.Flush(), f.Close()); err != nil {
		return fmt.Errorf("write report %s: %w", v.Report, err)
	}
	return nil
}

// one compares one file, and returns the curves of the report if there is to be one.
func (v *ratioVerb) one(ctx context.Context, t terminal, path string, c ratio.Config, further bool) ([]report.Section, error) {
	in, err := ratio.Load(path, bench.Limits{})
	if err != nil {
		return nil, err
	}
	steps := c.Steps()
	if v.Report != "" {
		steps += c.CurveSteps(len(c.Memory) * len(c.Disk))
	}
	progress := bench.NewProgress(t.stderr, steps, filepath.Base(path))
	defer progress.Done()
	c.Step = progress.Step
	rows, err := ratio.Run(ctx, in, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var sections []report.Section
	if v.Report != "" {
		if sections, err = ratio.Curves(ctx, in, rows, c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	progress.Done()
	if v.JSON {
		return sections, ratio.WriteJSON(t.stdout, in, rows)
	}
	if further {
		fmt.Fprintln(t.stdout)
	}
	return sections, ratio.WriteText(t.stdout, in, rows)
}

// config reads the flags.
func (v *ratioVerb) config() (c ratio.Config, err error) {
	c.Objective, _ = cachestore.ParseObjective(v.Objective)
	c.Admission, _ = cachestore.ParseAdmission(v.Admission)
	c.NoReturners, c.Overhead, c.Runs = v.NoReturners, v.Overhead, v.Runs
	if v.Runs < 1 || v.Runs > 99 {
		return c, &usageError{fmt.Sprintf("--runs %d: give 1 to 99", v.Runs)}
	}
	if c.Memory, err = ratioSizes("--memory", v.Memory, "1%", 1); err != nil {
		return c, err
	}
	if c.Disk, err = ratioSizes("--disk", v.Disk, "10%", 0); err != nil {
		return c, err
	}
	for _, name := range v.Policies {
		switch {
		case name == "all":
			c.Policies = slices.DeleteFunc(policies.Names(), func(n string) bool { return n == "lru" })
			return c, nil
		case !slices.Contains(policies.Names(), name):
			return c, &usageError{fmt.Sprintf("--policies %s: there are %s, all", name, strings.Join(policies.Names(), ", "))}
		case name != "lru" && !slices.Contains(c.Policies, name):
			c.Policies = append(c.Policies, name)
		}
	}
	return c, nil
}

// ratioSizes reads sizes, or percents of the unique bytes, of at least so many bytes.
func ratioSizes(flag string, texts []string, usual string, least int64) ([]ratio.Size, error) {
	if len(texts) == 0 {
		texts = []string{usual}
	}
	var sizes []ratio.Size
	for _, text := range texts {
		s, err := ratioSize(text, least)
		if err != nil {
			return nil, &usageError{fmt.Sprintf("%s %s: %v", flag, text, err)}
		}
		sizes = append(sizes, s)
	}
	return sizes, nil
}

func ratioSize(text string, least int64) (s ratio.Size, err error) {
	number, isPart := strings.CutSuffix(text, "%")
	switch {
	case isPart:
		s.Percent, err = strconv.ParseFloat(number, 64)
		if err != nil || !(s.Percent > 0 && s.Percent <= 1000) {
			return s, errors.New("give a size as 64MiB, or a part of the unique bytes as 1%")
		}
		return s, nil
	case text == "off" || text == "0":
		s.Bytes = 0
	default:
		if s.Bytes, err = parseSize(text); err != nil {
			return s, err
		}
	}
	if s.Bytes < least {
		return s, errors.New("there must be some")
	}
	return s, nil
}
