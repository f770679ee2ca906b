package policy

import (
	"strings"
	"time"
)

// ParseDate reads the three forms of HTTP-date (RFC 9110, 5.6.7): the preferred
// one, that of RFC 850, and asctime's. Names may have any case; all else is
// strict, so that an Expires that is nearly a date is in the past. A weekday
// that does not fit the date is let through. A year of two digits is in
// 1970–2069.
func ParseDate(s string) (t time.Time, ok bool) {
	if len(s) > maxDate {
		return time.Time{}, false
	}
	name, rest, comma := strings.Cut(s, ", ")
	switch {
	case !comma:
		return parseAsctime(s)
	case len(rest) > 2 && rest[2] == '-':
		return parseRFC850(name, rest)
	}
	return parseIMF(name, rest)
}

const maxDate = len("Wednesday, 06-Nov-94 08:49:37 GMT")

// parseIMF reads "Sun, 06 Nov 1994 08:49:37 GMT".
func parseIMF(weekday, s string) (time.Time, bool) {
	if len(s) != len("06 Nov 1994 08:49:37 GMT") || indexFold(shortDays, weekday) < 0 ||
		s[2] != ' ' || s[6] != ' ' || s[11] != ' ' || !strings.EqualFold(s[20:], " GMT") {
		return time.Time{}, false
	}
	return makeDate(s[7:11], s[3:6], s[:2], s[12:20])
}

// parseRFC850 reads "Sunday, 06-Nov-94 08:49:37 GMT".
func parseRFC850(weekday, s string) (time.Time, bool) {
	if len(s) != len("06-Nov-94 08:49:37 GMT") || indexFold(longDays, weekday) < 0 ||
		s[6] != '-' || s[9] != ' ' || !strings.EqualFold(s[18:], " GMT") {
		return time.Time{}, false
	}
	century := "20"
	if s[7] >= '7' {
		century = "19"
	}
	return makeDate(century+s[7:9], s[3:6], s[:2], s[10:18])
}

// parseAsctime reads "Sun Nov  6 08:49:37 1994".
func parseAsctime(s string) (time.Time, bool) {
	if len(s) != len("Sun Nov  6 08:49:37 1994") || indexFold(shortDays, s[:3]) < 0 ||
		s[3] != ' ' || s[7] != ' ' || s[10] != ' ' || s[19] != ' ' {
		return time.Time{}, false
	}
	day := s[8:10]
	if day[0] == ' ' {
		day = "0" + day[1:]
	}
	return makeDate(s[20:], s[4:7], day, s[11:19])
}

var (
	shortDays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	longDays  = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	months    = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)

// makeDate puts the parts together; clock is "08:49:37".
func makeDate(year, month, day, clock string) (time.Time, bool) {
	if clock[2] != ':' || clock[5] != ':' {
		return time.Time{}, false
	}
	y, d := digits(year), digits(day)
	m := indexFold(months, month) + 1
	hour, minute, second := digits(clock[:2]), digits(clock[3:5]), digits(clock[6:])
	if y < 0 || m == 0 || d < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
		second < 0 || second > 60 { // 60: a leap second
		return time.Time{}, false
	}
	t := time.Date(y, time.Month(m), d, hour, minute, 0, 0, time.UTC)
	if t.Day() != d {
		return time.Time{}, false // 31 April
	}
	return t.Add(time.Duration(second) * time.Second), true
}

// digits reads digits only, else it is -1.
func digits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func indexFold(names []string, s string) int {
	for i, name := range names {
		if len(name) == len(s) && strings.EqualFold(name, s) {
			return i
		}
	}
	return -1
}
