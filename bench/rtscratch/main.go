package main

import (
	"flag"
	"fmt"
	"time"

	"edgecache/bench"
	"edgecache/cachestore"
)

func main() {
	disk := flag.Float64("disk", 10, "")
	mem := flag.Float64("mem", 1, "")
	shards := flag.Int("shards", 4, "")
	over := flag.Bool("overhead", false, "")
	obj := flag.Int("obj", 0, "")
	flag.Parse()
	for _, f := range flag.Args() {
		w, err := bench.LoadFile("/work/shared/traces/"+f+".tr.gz", bench.Limits{})
		if err != nil {
			panic(err)
		}
		var unique int64
		for _, s := range w.Sizes {
			unique += s
		}
		v, err := cachestore.NewVirtual(cachestore.VirtualConfig{Memory: int64(float64(unique) * *mem / 100), Disk: int64(float64(unique) * *disk / 100), Admission: cachestore.AdmitSZ2, Shards: *shards, Overhead: *over, Objective: cachestore.Objective(*obj)})
		if err != nil {
			panic(err)
		}
		t := time.Now()
		var n [3]int
		var miss, all int64
		for _, o := range w.Requests {
			s := v.Request(uint64(o), w.Sizes[o])
			n[s]++
			all += w.Sizes[o]
			if s == 0 {
				miss += w.Sizes[o]
			}
		}
		v.Close()
		q := float64(len(w.Requests))
		fmt.Printf("%-16s omr %.4f bmr %.4f mem %.4f wr %.4f %.1fs\n", f, float64(n[0])/q, float64(miss)/float64(all), float64(n[1])/q, float64(v.Written())/float64(all), time.Since(t).Seconds())
	}
}
