package bench

import (
	"math"
	"math/rand/v2"
)

// Zipf draws ranks 0 to n-1 where rank k has weight 1/(k+1)^exponent, by
// rejection-inversion (Hörmann and Derflinger, 1996): constant time and space,
// and, unlike math/rand's, any exponent from 0 up. It never changes.
type Zipf struct {
	n        float64
	exponent float64
	top      float64 // integral up to the last rank's upper edge
	bottom   float64 // integral up to the first rank's lower edge
	cut      float64 // a point this near to its rank is taken without a second look
}

// NewZipf draws of n ranks, at least one.
func NewZipf(n int, exponent float64) *Zipf {
	z := &Zipf{n: float64(n), exponent: exponent}
	z.top = z.integral(z.n + 0.5)
	z.bottom = z.integral(1.5) - 1
	z.cut = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

// Draw returns one rank.
func (z *Zipf) Draw(rnd *rand.Rand) int {
	for {
		u := z.top + rnd.Float64()*(z.bottom-z.top)
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.cut || u >= z.integral(k+0.5)-z.weight(k) {
			return int(k) - 1
		}
	}
}

func (z *Zipf) weight(x float64) float64 { return math.Exp(-z.exponent * math.Log(x)) }

// integral is the antiderivative of the weight, (x^(1-e) - 1) / (1-e), which
// tends to log x as e nears 1.
func (z *Zipf) integral(x float64) float64 {
	log := math.Log(x)
	return expm1Over((1-z.exponent)*log) * log
}

func (z *Zipf) inverse(y float64) float64 {
	t := max(y*(1-z.exponent), -1)
	return math.Exp(log1pOver(t) * y)
}

// expm1Over is (e^x - 1) / x, also near 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2*(1+x/3)
}

// log1pOver is log(1+x) / x, also near 0.
func log1pOver(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x*(0.5-x/3)
}
