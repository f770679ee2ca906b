package main

import (
	"flag"
	"fmt"
	"math/bits"
	"time"

	"edgecache/bench"
	"edgecache/cachestore"
)

func main() {
	disk := flag.Float64("disk", 10, "")
	mem := flag.Float64("mem", 1, "")
	shards := flag.Int("shards", 0, "")
	over := flag.Bool("overhead", false, "")
	show := flag.Bool("show", false, "")
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
		hist := map[int][3]int64{}
		t := time.Now()
		var n [3]int
		var miss, all int64
		for _, o := range w.Requests {
			s := v.Request(cachestore.VirtualRequest{ID: uint64(o), Size: w.Sizes[o]})
			n[s]++
			all += w.Sizes[o]
			if *show {
				h := hist[bits.Len64(uint64(w.Sizes[o]))]
				h[s] += w.Sizes[o]
				hist[bits.Len64(uint64(w.Sizes[o]))] = h
			}
			if s == 0 {
				miss += w.Sizes[o]
			}
		}
		v.Close()
		for i := range 40 {
			if h := hist[i]; h[0]+h[1]+h[2] > 0 {
				fmt.Printf("  2^%d: miss %.4f mem %.4f disk %.4f\n", i, float64(h[0])/float64(all), float64(h[1])/float64(all), float64(h[2])/float64(all))
			}
		}
		q := float64(len(w.Requests))
		fmt.Printf("%-16s omr %.4f bmr %.4f mem %.4f wr %.4f %.1fs\n", f, float64(n[0])/q, float64(miss)/float64(all), float64(n[1])/q, float64(v.Written())/float64(all), time.Since(t).Seconds())
	}
}
