package cachestore

import (
	"slices"
	"unsafe"
)

// sizeClasses are the sizes that Go's allocator rounds small objects up to
// (runtime/sizeclasses.go). TestRounded compares them with the running one.
var sizeClasses = []int64{
	8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240,
	256, 288, 320, 352, 384, 416, 448, 480, 512, 576, 640, 704, 768, 896, 1024,
	1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200, 3456, 4096,
	4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880,
	12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672,
	32768,
}

const pageBytes = 8 << 10 // the allocator's page: larger objects are whole pages

// rounded is how many bytes the allocator takes for n.
func rounded(n int64) int64 {
	if n <= 0 {
		return 0
	}
	if n > sizeClasses[len(sizeClasses)-1] {
		return (n + pageBytes - 1) / pageBytes * pageBytes
	}
	i, _ := slices.BinarySearch(sizeClasses, n)
	return sizeClasses[i]
}

// What the fixed parts take, in bytes, rounded by hand where a struct is
// allocated alone.
var (
	headBytes = int64(unsafe.Sizeof(Head{}))
	bodyBytes = int64(unsafe.Sizeof(Body{}))
	partBytes = int64(unsafe.Sizeof(Part{}))

	variantBytes = rounded(int64(unsafe.Sizeof(Variant{})))
	// A resource and its place in the table: hash and pointer in a map that is
	// two thirds full.
	resourceBytes = rounded(int64(unsafe.Sizeof(Resource{}))) + 48
	// An entry and its places in Ristretto's two maps (16 and 56 bytes a slot,
	// two thirds full).
	entryBytes = rounded(int64(unsafe.Sizeof(entry{}))) + 112

	indexBytes     = int64(unsafe.Sizeof(index{}))
	slotBlockBytes = int64(unsafe.Sizeof([slotBlock]slot{}))
)

const (
	wordBytes     = 8
	pointerBytes  = 8
	sliceBytes    = 24
	stringBytes   = 16
	mapEntryBytes = 64 // a string and a slice in a small map
)

// stringsBytes is what a list of strings takes.
func stringsBytes(list []string) int64 {
	n := rounded(int64(cap(list)) * stringBytes)
	for _, s := range list {
		n += rounded(int64(len(s)))
	}
	return n
}
