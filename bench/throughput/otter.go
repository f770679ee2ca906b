package main

import "github.com/maypok86/otter/v2"

// otters is otter v2, bounded by the number of its objects, and with its tables
// made for them at once: its fastest form. What it does in the background it does
// on goroutines of its own, as it comes.
type otters struct {
	cache *otter.Cache[string, []byte]
}

var _ cache = (*otters)(nil)

func openOtter(objects int, _ string) (cache, error) {
	c, err := otter.New(&otter.Options[string, []byte]{MaximumSize: objects, InitialCapacity: objects})
	return &otters{c}, err
}

func (o *otters) worker() worker { return o }

func (o *otters) get(url string) ([]byte, place) {
	body, ok := o.cache.GetIfPresent(url)
	if !ok {
		return nil, nowhere
	}
	return body, inMemory
}

func (o *otters) put(url string, body []byte) bool {
	o.cache.Set(url, body)
	return true
}

func (o *otters) objects() (memory, disk int) {
	o.cache.CleanUp()
	return o.cache.EstimatedSize(), 0
}

func (o *otters) close() error {
	o.cache.StopAllGoroutines()
	return nil
}
