package standintest

import (
	"sync"
	"time"
)

// Clock is real time plus what was advanced. The zero value is ready.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
}

// Now is the stand-in's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// Advance moves the clock forward (or back, when negative).
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	c.offset += d
	c.mu.Unlock()
}

// Reset returns to real time.
func (c *Clock) Reset() {
	c.mu.Lock()
	c.offset = 0
	c.mu.Unlock()
}

// Limits counts what a stand-in's documented limits let through and refused. The zero value is ready.
type Limits struct {
	mu                 sync.Mutex
	accepted, rejected int
	second             int64
	inSecond, max      int
}

// Snapshot is what GET /_control/limits answers.
type Snapshot struct {
	Accepted     int     `json:"accepted"`
	Rejected     int     `json:"rejected"`
	MaxPerSecond float64 `json:"max_per_second"` // most requests accepted or refused within one clock second
}

// Count records one request that met the limit.
func (l *Limits) Count(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now().Unix(); now != l.second {
		l.second, l.inSecond = now, 0
	}
	l.inSecond++
	l.max = max(l.max, l.inSecond)
	if ok {
		l.accepted++
	} else {
		l.rejected++
	}
}

// Snapshot returns the counters.
func (l *Limits) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Snapshot{Accepted: l.accepted, Rejected: l.rejected, MaxPerSecond: float64(l.max)}
}

// Reset zeroes the counters.
func (l *Limits) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted, l.rejected, l.second, l.inSecond, l.max = 0, 0, 0, 0, 0
}
