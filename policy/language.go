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

// The first bytes of an Accept-Language in order: no field has them. So neither
// what is taken as it came, nor what another rule has ordered and a disk has
// kept, is taken for it.
const (
	languagesByWeight = 0
	languagesSent     = 1
)

// appendLanguages appends Accept-Language (RFC 9110, 12.5.4) in lower case, with
// its weights. Some origins go by the order of equal weights, so it counts unless
// the route says that it does not; then they are ordered by weight and name. A
// list that is long or has anything odd is taken as it is.
func appendLanguages(dst []byte, f Fields, by Languages) (_ []byte, present bool) {
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
	form := byte(languagesSent)
	if by == LanguagesByWeight {
		form = languagesByWeight
		slices.SortFunc(all, compareLanguages)
	}
	dst = append(dst, form)
	for _, l := range all {
		for _, c := range l.name {
			dst = append(dst, lower(c))
		}
		dst = append(dst, ';', byte('0'+l.q/1000), byte('0'+l.q/100%10), byte('0'+l.q/10%10), byte('0'+l.q%10))
	}
	return dst, present
}

func compareLanguages(a, b languageRange) int {
	if a.q != b.q {
		return b.q - a.q
	}
	return compareFold(a.name, b.name)
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
