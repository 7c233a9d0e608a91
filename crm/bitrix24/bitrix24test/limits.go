package bitrix24test

import "time"

// Plan is a portal's tariff; it decides the request limits and app.info's LICENSE keys.
type Plan string

// The plans.
const (
	Standard   Plan = "std"
	Enterprise Plan = "enterprise"
)

// Limits of execution time (page "REST API Limits", Resource Intensity Limits).
const (
	operatingLimit  = 480 * time.Second
	operatingWindow = 10 * time.Minute
)

// bucket is the leaky bucket of a portal (page "REST API Limits", Request Rate Limits):
// each request adds one, it drains Y per second, and above X requests are refused.
type bucket struct {
	level float64
	at    time.Time
}

func (p Plan) limits() (drain, size float64) {
	if p == Enterprise {
		return 5, 250
	}
	return 2, 50
}

// admit adds one request at now unless the bucket is full.
func (b *bucket) admit(now time.Time, plan Plan) bool {
	drain, size := plan.limits()
	if passed := now.Sub(b.at).Seconds(); passed > 0 && !b.at.IsZero() {
		b.level = max(0, b.level-passed*drain)
	}
	b.at = now
	if b.level+1 > size {
		return false
	}
	b.level++
	return true
}

// minute is one of the ten one-minute baskets of a method's execution time.
type minute struct {
	start time.Time
	sum   time.Duration
}

// operating is the execution time of each method within the window.
type operating map[string][]minute

// sum drops baskets that are over and returns what the rest hold, and when the oldest
// leaves (zero when there is none).
func (o operating) sum(method string, now time.Time) (total time.Duration, reset time.Time) {
	kept := o[method]
	for len(kept) > 0 && !now.Before(kept[0].start.Add(operatingWindow)) {
		kept = kept[1:]
	}
	o[method] = kept
	for _, m := range kept {
		total += m.sum
	}
	if len(kept) > 0 {
		reset = kept[0].start.Add(operatingWindow)
	}
	return total, reset
}

// add books the time of one call.
func (o operating) add(method string, now time.Time, d time.Duration) {
	m := o[method]
	if n := len(m); n > 0 && now.Sub(m[n-1].start) < time.Minute {
		m[n-1].sum += d
		return
	}
	o[method] = append(m, minute{start: now, sum: d})
}
