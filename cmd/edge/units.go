package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"edgecache/cachestore"
)

// maxSpan bounds every span of the configuration, so that no arithmetic on
// Unix nanoseconds can overflow.
const maxSpan = 100 * 365 * 24 * time.Hour

// unit is one suffix and what one of it is worth.
type unit struct {
	name  string
	worth int64
}

var sizeUnits = []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var spanUnits = []unit{
	{"d", int64(24 * time.Hour)}, {"h", int64(time.Hour)}, {"ms", int64(time.Millisecond)},
	{"m", int64(time.Minute)}, {"s", int64(time.Second)},
}

var (
	errSize = errors.New("give a size with its unit, like 512KiB, 64MiB or 2GiB")
	errSpan = errors.New("give a span with its unit, like 250ms, 30s, 5m, 24h or 365d")
	errRate = errors.New("give a rate, like 100B/s or 1MiB/s")
)

// parseSize reads a number of bytes: 64MiB, 1.5GiB, 100B or 0. Units are powers
// of 1024 and are spelt so that nobody can take them for anything else.
func parseSize(text string) (bytes int64, err error) {
	if text == "0" {
		return 0, nil
	}
	number, worth, ok := splitUnit(text, sizeUnits)
	if !ok {
		return 0, errSize
	}
	return scale(number, worth, math.MaxInt64, errSize)
}

// parseSpan reads a span of time: 365d, 24h, 1h30m, 250ms or 0.
func parseSpan(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	var sum int64
	for rest := text; ; {
		end := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		next := end + len(rest[end:]) - len(strings.TrimLeft(rest[end:], "dhms"))
		number, worth, ok := splitUnit(rest[:next], spanUnits)
		if !ok {
			return 0, errSpan
		}
		part, err := scale(number, worth, int64(maxSpan), errSpan)
		if err != nil {
			return 0, err
		}
		if sum += part; sum > int64(maxSpan) {
			return 0, fmt.Errorf("is longer than %d years", maxSpan/(365*24*time.Hour))
		}
		if rest = rest[next:]; rest == "" {
			return time.Duration(sum), nil
		}
	}
}

// parseRate reads bytes a second.
func parseRate(text string) (bytesPerSecond int64, err error) {
	size, ok := strings.CutSuffix(text, "/s")
	if !ok {
		return 0, errRate
	}
	bytesPerSecond, err = parseSize(size)
	if errors.Is(err, errSize) {
		return 0, errRate
	}
	return bytesPerSecond, err
}

func splitUnit(text string, units []unit) (number string, worth int64, ok bool) {
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			return number, u.worth, true
		}
	}
	return "", 0, false
}

// scale multiplies a plain decimal number, without sign or exponent.
func scale(number string, worth, most int64, shape error) (int64, error) {
	whole, fraction, point := strings.Cut(number, ".")
	if !digits(whole) || point && !digits(fraction) {
		return 0, shape
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || value*float64(worth) >= float64(most) {
		return 0, errors.New("is too large")
	}
	if !point {
		n, err := strconv.ParseInt(whole, 10, 64)
		return n * worth, err
	}
	return int64(math.Round(value * float64(worth))), nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// memorySize is how much memory the cache may use: bytes, or a share of what
// the machine or its cgroup has.
type memorySize struct {
	bytes   int64
	percent int
}

// parseMemory reads 25%, or a size.
func parseMemory(text string) (memorySize, error) {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.Atoi(share)
		if !digits(share) || err != nil || n < 1 || n > 90 {
			return memorySize{}, errors.New("give 1% to 90% of the memory, or a size like 2GiB")
		}
		return memorySize{percent: n}, nil
	}
	n, err := parseSize(text)
	if errors.Is(err, errSize) {
		return memorySize{}, errors.New("give a size like 64MiB or 2GiB, or a share like 25%")
	}
	if err == nil && n < minMemory {
		err = fmt.Errorf("is less than %s", formatSize(minMemory))
	}
	return memorySize{bytes: n}, err
}

// minMemory is the smallest memory tier.
const minMemory = cachestore.MinMemory

// of gives the bytes, given how many there are in all.
func (m memorySize) of(total int64) int64 {
	if m.percent == 0 {
		return m.bytes
	}
	return max(total/100*int64(m.percent), minMemory)
}

// formatSize writes a size as parseSize reads it, with at most one decimal.
func formatSize(bytes int64) string {
	for _, u := range sizeUnits {
		if bytes >= u.worth && u.worth > 1 {
			text := strconv.FormatFloat(float64(bytes)/float64(u.worth), 'f', 1, 64)
			return strings.TrimSuffix(text, ".0") + u.name
		}
	}
	return strconv.FormatInt(bytes, 10) + "B"
}
