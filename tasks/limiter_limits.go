package tasks

import (
	"encoding/json"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// Limits is a CRM's documented formula as data, and how far below it we stay. A bucket may
// leak (Capacity, Drain), slide (Count, Window), or do both. One HTTP request costs 1, also a
// batch.
type Limits struct {
	Capacity float64 // requests the CRM's bucket holds; 0: it has no leaky bucket
	Drain    float64 // requests per second that leak out of it
	Slack    float64 // part of Capacity never used, for requests that bunch up on their way

	Count  int           // requests within any Window; 0: no window
	Window time.Duration // longer than the CRM's, by the jitter on the way that it must bear
	Burst  int           // requests in a Window before those of lower priority are spaced
	Gap    time.Duration // their spacing

	// Leave is how many requests of room each crm.Priority leaves to the higher ones.
	Leave [3]int

	Pause, MaxPause time.Duration // after a 429 or 503 that names no time; doubles when repeated
	Block, MaxBlock time.Duration // after we were shut out (crm.Error.Blocked); doubles when repeated

	// Operating is the execution time a method may use up in ten minutes, OperatingSlack the
	// part of it never used. 0: the CRM has no such budget.
	Operating, OperatingSlack time.Duration

	// Egress bounds all accounts of the system together, by outgoing address; nil: not bounded.
	Egress *Limits
}

// Bitrix24: a bucket of 50 that drains by 2 a second, on Enterprise 250 and 5 (vendor's page
// "Limits"; protocol: crm-rate-limits). The slack of 4 bears two seconds of jitter.
var (
	Bitrix24Standard = Limits{
		Capacity: 50, Drain: 2, Slack: 4,
		Leave: [3]int{crm.Housekeeping: 23, crm.Sync: 4},
		Pause: time.Second, MaxPause: 30 * time.Second,
		Block: 5 * time.Minute, MaxBlock: time.Hour,
		Operating: 480 * time.Second, OperatingSlack: time.Minute,
	}
	Bitrix24Enterprise = Limits{
		Capacity: 250, Drain: 5, Slack: 10,
		Leave: [3]int{crm.Housekeeping: 120, crm.Sync: 10},
		Pause: time.Second, MaxPause: 30 * time.Second,
		Block: 5 * time.Minute, MaxBlock: time.Hour,
		Operating: 480 * time.Second, OperatingSlack: time.Minute,
	}
)

// sevenPerSecond keeps at most 7 requests in any second at the CRM, whether it counts clock
// seconds or a sliding one, as long as a request is delayed by at most 70 ms more than the
// seventh after it. That costs 7 % of the throughput; a Gap well below Window/7 lets a sleeper
// that a busy machine woke 50 ms late catch up, so that little more is lost.
var sevenPerSecond = Limits{
	Count: 7, Window: 1070 * time.Millisecond, Burst: 4, Gap: 100 * time.Millisecond,
	Leave: [3]int{crm.Housekeeping: 3},
	Pause: time.Second, MaxPause: 30 * time.Second,
	Block: 5 * time.Minute, MaxBlock: 2 * time.Hour,
}

// AmoCRM allows 7 a second per integration and account. The other documented limit, 50 a second per
// account over all integrations, is shared with strangers: we cannot count it, only believe
// its 429 (vendor's page "Limitations"; protocol: crm-rate-limits).
var AmoCRM = sevenPerSecond

// Kommo allows 7 a second per account; its status-code page words the limit, and the block after
// abuse, per IP address (vendor's pages "Limitations" and "HTTP codes"; protocol:
// crm-rate-limits). So one address gets 7 a second over all accounts.
var Kommo = kommo()

func kommo() Limits {
	l, address := sevenPerSecond, sevenPerSecond
	// one account's trouble stops its neighbours briefly, and after a block longer only when it goes on
	address.MaxPause, address.Block = time.Second, 30*time.Second
	l.Egress = &address
	return l
}

// LimitsOf are the documented limits of an account.
func LimitsOf(a Account) Limits {
	switch {
	case a.System == crm.AmoCRM:
		return AmoCRM
	case a.System == crm.Kommo:
		return Kommo
	case a.Enterprise:
		return Bitrix24Enterprise
	}
	return Bitrix24Standard
}

// How strikes are forgotten and a pause is ended.
const (
	calmAfter    = time.Minute     // without another refusal, the next pause is short again
	probeTimeout = 2 * time.Second // after a pause one request goes first; the others wait so long for its answer
)

func (l Limits) budget() time.Duration { return l.Operating - l.OperatingSlack }

// script is what the Lua script reads; times in ms.
func (l Limits) script() string {
	text, err := json.Marshal(map[string]any{
		"capacity": max(0, l.Capacity-l.Slack), "full": l.Capacity, "drain": l.Drain,
		// after a loss: half the slack, so that persons need not wait
		"lost":  max(0, l.Capacity-l.Slack*1.5),
		"count": l.Count, "window": l.Window.Milliseconds(), "burst": l.Burst, "gap": l.Gap.Milliseconds(),
		"leave": l.Leave,
		"pause": l.Pause.Milliseconds(), "max_pause": l.MaxPause.Milliseconds(),
		"block": l.Block.Milliseconds(), "max_block": l.MaxBlock.Milliseconds(),
		"calm": calmAfter.Milliseconds(), "probe": probeTimeout.Milliseconds(),
		"operating": l.budget().Milliseconds(),
	})
	if err != nil {
		panic(err) // only an infinite Capacity or Drain can cause it
	}
	return string(text)
}
