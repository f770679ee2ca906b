package cachestore

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"time"

	"edgecache/policy"
)

// readMetaFront checks the record of object id and reads its front. Full is a
// view of p. It allocates nothing: a start reads every record of the shard.
func readMetaFront(s *seal, id uint64, p []byte) (metaFront, error) {
	f, _, err := openMeta(s, id, p)
	return f, err
}

// openMeta checks the record and returns its front and what lies behind it.
func openMeta(s *seal, id uint64, p []byte) (f metaFront, rest parcel, err error) {
	n := len(p) - crcBytes
	if n < metaFrontBytes || binary.BigEndian.Uint32(p[n:]) != s.meta(id, p[:n]) {
		return f, rest, broken("record of object %d: checksum", id)
	}
	if p[0] != metaVersion {
		return f, rest, broken("record of object %d: version %d", id, p[0])
	}
	r := parcel{rest: p[1:n]}
	f.Expires = r.uint32()
	f.Order = r.uint64()
	f.PurgeGen = r.uint32()
	f.PurgeSeq = r.uint64()
	f.BodySize = r.int64()
	f.Full = r.take(r.length(maxFullBytes))
	if r.bad || f.BodySize < 0 {
		return metaFront{}, rest, broken("record of object %d: front", id)
	}
	return f, r, nil
}

// readMeta reads the record of object id back. It holds no view of p. What is
// empty in the record is nil in the variant, which has no body.
func readMeta(s *seal, id uint64, p []byte) (metaRecord, error) {
	f, r, err := openMeta(s, id, p)
	if err != nil {
		return metaRecord{}, err
	}
	v := &Variant{PurgeSeq: f.PurgeSeq}
	readTimes(&r, v)
	readHead(&r, v)
	trailer := readTrailer(&r)
	if r.bad || len(r.rest) > 0 {
		return metaRecord{}, broken("record of object %d", id)
	}
	return metaRecord{
		Order: f.Order, PurgeGen: f.PurgeGen, Variant: v,
		BodySize: f.BodySize, Trailer: trailer, Full: bytes.Clone(f.Full),
	}, nil
}

// readTimes reads what appendTimes has written.
func readTimes(p *parcel, v *Variant) {
	flags := p.uint8()
	if flags&^metaFlags != 0 {
		p.fail()
	}
	v.SharedAuth = flags&flagSharedAuth != 0
	v.Life = policy.Life{
		NoCache:        flags&flagNoCache != 0,
		MustRevalidate: flags&flagMustRevalidate != 0,
		SharedMaxAge:   flags&flagSharedMaxAge != 0,
		Explicit:       flags&flagExplicit != 0,
		Soft:           flags&flagSoft != 0,
		Immutable:      flags&flagImmutable != 0,
		Born:           p.int64(),
		Fresh:          time.Duration(p.int64()),
		SWR:            time.Duration(p.int64()),
		SIE:            time.Duration(p.int64()),
		Dead:           time.Duration(p.int64()),
	}
	v.StoredAt = p.int64()
	v.Validators.Modified, v.Validators.Date = p.int64(), p.int64()
	if flags&flagPart != 0 {
		v.Part = readPart(p)
	}
}

// readPart reads which part of a representation the object is.
func readPart(p *parcel) *Part {
	part := &Part{From: p.int64(), Total: p.int64(), Slices: p.uint64()}
	toEnd := p.uint8()
	part.ToEnd = toEnd == 1
	if part.From < 0 || part.Total < -1 || toEnd > 1 {
		p.fail()
	}
	return part
}

// readHead reads what appendHead has written. The block and the validators, which
// are renewed together, lie in one piece.
func readHead(p *parcel, v *Variant) {
	status := int(p.uint16())
	block := p.length(maxBlockBytes)
	kept, unhidden := p.length(block), p.length(block)
	etag, modified := p.short(maxValidatorBytes), p.short(maxValidatorBytes)
	selector := p.length(maxSelectorBytes)
	vary, tags := p.short(maxVary), p.short(maxTags)
	b := bytes.Clone(p.take(block + etag + modified))
	if p.bad || !isBlock(b[:block], kept, unhidden) {
		p.fail()
		return
	}
	v.Head = &Head{Status: status, block: b[:block:block], kept: kept, unhidden: unhidden}
	v.Validators.ETag = orNil(b[block : block+etag : block+etag])
	v.Validators.LastModified = orNil(b[block+etag:])
	v.Selector = orNil(bytes.Clone(p.take(selector)))
	v.Vary = readNames(p, vary)
	v.Tags = readNumbers(p, tags)
}

func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// readNames reads n names, which are parts of one string.
func readNames(p *parcel, n int) []string {
	if n == 0 {
		return nil
	}
	ahead := *p
	for range n {
		ahead.take(ahead.short(maxNameBytes))
	}
	if ahead.bad {
		p.fail()
		return nil
	}
	all := string(p.rest[:len(p.rest)-len(ahead.rest)])
	names := make([]string, n)
	for i := range names {
		size := p.short(maxNameBytes)
		p.take(size)
		names[i] = all[2 : 2+size]
		all = all[2+size:]
	}
	return names
}

// readNumbers reads n numbers.
func readNumbers(p *parcel, n int) []uint64 {
	b := p.take(8 * n)
	if len(b) == 0 {
		return nil
	}
	numbers := make([]uint64, n)
	for i := range numbers {
		numbers[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return numbers
}

// readTrailer reads what appendTrailer has written.
func readTrailer(p *parcel) http.Header {
	n := p.short(len(p.rest) / 4)
	if n == 0 {
		return nil
	}
	h := make(http.Header)
	for range n {
		name := string(p.take(p.short(maxNameBytes)))
		values := make([]string, p.short(len(p.rest)/4))
		for i := range values {
			values[i] = string(p.take(p.length(maxTrailerBytes)))
		}
		if _, twice := h[name]; twice || p.bad {
			p.fail()
			return nil
		}
		h[name] = values
	}
	return h
}

// isBlock says whether a head can have this block: lines "name: value" that end
// in CR LF, and spans that end between two of them. Head relies on it.
func isBlock(block []byte, kept, unhidden int) bool {
	if kept > unhidden || bytes.IndexByte(block, 0) >= 0 {
		return false
	}
	borders := []int{kept, unhidden}
	for at := 0; at < len(block); {
		for len(borders) > 0 && borders[0] == at {
			borders = borders[1:]
		}
		line := block[at:]
		end := bytes.IndexByte(line, '\n')
		colon := bytes.IndexByte(line, ':')
		if end < 1 || bytes.IndexByte(line, '\r') != end-1 || colon < 1 || colon+2 > end-1 || line[colon+1] != ' ' {
			return false
		}
		at += end + 1
	}
	return !slices.ContainsFunc(borders, func(b int) bool { return b != len(block) })
}
