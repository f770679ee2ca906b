package policy

import "time"

// maxDate is the longest form of a date.
const maxDate = len("Wednesday, 06-Nov-94 08:49:37 GMT")

// ParseDate reads the three forms of HTTP-date (RFC 9110, 5.6.7): the preferred
// one, that of RFC 850, and asctime's. Names may have any case; all else is
// strict, so that an Expires that is nearly a date is in the past. A weekday
// that does not fit the date is let through. A year of two digits is in
// 1970–2069.
func ParseDate(s string) (t time.Time, ok bool) {
	var room [maxDate]byte
	if len(s) > maxDate {
		return time.Time{}, false
	}
	return parseDate(room[:copy(room[:], s)])
}

// parseDate is ParseDate for views; it allocates nothing.
func parseDate(b []byte) (t time.Time, ok bool) {
	for i, c := range b {
		if c != ',' {
			continue
		}
		day, rest := b[:i], b[i+1:]
		if len(rest) == len(" 06 Nov 1994 08:49:37 GMT") {
			return parseIMF(day, rest)
		}
		return parseRFC850(day, rest)
	}
	return parseAsctime(b)
}

// parseIMF reads "Sun" and " 06 Nov 1994 08:49:37 GMT".
func parseIMF(weekday, b []byte) (time.Time, bool) {
	if indexFold(shortDays, weekday) < 0 || b[0] != ' ' || b[3] != ' ' || b[7] != ' ' ||
		b[12] != ' ' || !EqualFold(b[21:], " gmt") {
		return time.Time{}, false
	}
	return makeDate(digits(b[8:12]), b[4:7], digits(b[1:3]), b[13:21])
}

// parseRFC850 reads "Sunday" and " 06-Nov-94 08:49:37 GMT".
func parseRFC850(weekday, b []byte) (time.Time, bool) {
	if len(b) != len(" 06-Nov-94 08:49:37 GMT") || indexFold(longDays, weekday) < 0 ||
		b[0] != ' ' || b[3] != '-' || b[7] != '-' || b[10] != ' ' || !EqualFold(b[19:], " gmt") {
		return time.Time{}, false
	}
	year := digits(b[8:10])
	switch {
	case year >= 70:
		year += 1900
	case year >= 0:
		year += 2000
	}
	return makeDate(year, b[4:7], digits(b[1:3]), b[11:19])
}

// parseAsctime reads "Sun Nov  6 08:49:37 1994".
func parseAsctime(b []byte) (time.Time, bool) {
	if len(b) != len("Sun Nov  6 08:49:37 1994") || indexFold(shortDays, b[:3]) < 0 ||
		b[3] != ' ' || b[7] != ' ' || b[10] != ' ' || b[19] != ' ' {
		return time.Time{}, false
	}
	day := b[8:10]
	if day[0] == ' ' {
		day = day[1:]
	}
	return makeDate(digits(b[20:]), b[4:7], digits(day), b[11:19])
}

var (
	shortDays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	longDays  = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	months    = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)

// makeDate puts the parts together; clock is "08:49:37", and a number of -1 is
// none.
func makeDate(year int, month []byte, day int, clock []byte) (time.Time, bool) {
	m := indexFold(months, month) + 1
	hour, minute, second := digits(clock[:2]), digits(clock[3:5]), digits(clock[6:])
	if clock[2] != ':' || clock[5] != ':' || year < 0 || m == 0 || day < 1 ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 { // 60: a leap second
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(m), day, hour, minute, 0, 0, time.UTC)
	if t.Day() != day {
		return time.Time{}, false // 31 April
	}
	return t.Add(time.Duration(second) * time.Second), true
}

// digits reads digits only, else it is -1.
func digits(b []byte) int {
	n := 0
	for _, c := range b {
		if !isDigit(c) {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func indexFold(names []string, b []byte) int {
	for i, name := range names {
		if EqualFold(b, name) {
			return i
		}
	}
	return -1
}
