package policy

import "slices"

// maxLanguages is how many ranges of Accept-Language are put in order; a longer
// list stays as it is.
const maxLanguages = 16

// languageRange is one member of Accept-Language with its weight.
type languageRange struct {
	name []byte
	q    int
}

// appendLanguages appends Accept-Language (RFC 9110, 12.5.4) in lower case,
// ordered by weight and then by name: the order of equal weights means nothing.
// A list that is long or has anything odd is taken as it is. The NUL in front,
// which no field has, keeps the two forms apart.
func appendLanguages(dst []byte, f Fields) (_ []byte, present bool) {
	var room [maxLanguages]languageRange
	all := room[:0]
	for i := f.Next("accept-language", 0); i >= 0; i = f.Next("accept-language", i+1) {
		present = true
		for list := f[i].Value; len(list) > 0; {
			var member []byte
			if member, list = cutMember(list); len(member) == 0 {
				continue
			}
			name, q, ok := cutQuality(member)
			if !ok || !isLanguage(name) || len(all) == maxLanguages {
				return appendCombined(dst, "accept-language", f)
			}
			all = append(all, languageRange{name, q})
		}
	}
	slices.SortFunc(all, func(a, b languageRange) int {
		if a.q != b.q {
			return b.q - a.q
		}
		return compareFold(a.name, b.name)
	})
	dst = append(dst, 0)
	for _, l := range all {
		for _, c := range l.name {
			dst = append(dst, lower(c))
		}
		dst = append(dst, ';', byte('0'+l.q/1000), byte('0'+l.q/100%10), byte('0'+l.q/10%10), byte('0'+l.q%10))
	}
	return dst, present
}

// isLanguage says whether name has only what language ranges have (RFC 4647,
// 2.1).
func isLanguage(name []byte) bool {
	for _, c := range name {
		if !isAlpha(c) && !isDigit(c) && c != '-' && c != '*' {
			return false
		}
	}
	return len(name) > 0
}

func compareFold(a, b []byte) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if d := int(lower(a[i])) - int(lower(b[i])); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}
