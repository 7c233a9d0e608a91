package amotest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

const (
	formType = "application/x-www-form-urlencoded"
	// hookPatience is how long a webhook waits for an answer of 100 to 299.
	hookPatience = 2 * time.Second
	// reorderDelay is how long a reordered webhook stands back for those after it.
	reorderDelay = 300 * time.Millisecond
)

// retries are the waits after each failed delivery ("Webhooks": retries).
var retries = []time.Duration{0, 5 * time.Minute, 15 * time.Minute, 15 * time.Minute, time.Hour}

// A subscription is disabled after more than this many invalid answers within this time, the
// newest included.
const (
	failuresAllowed = 100
	failureWindow   = 2 * time.Hour
)

// delivery is one hook on its way. Digital Pipeline hooks belong to no subscription.
type delivery struct {
	hook      *webhook
	event     string
	url, kind string
	body      string
	attempt   int
	due       time.Time
}

// enqueue sends a hook soon; faults double it, hold it back or add a forged one before it.
func (a *Account) enqueue(d *delivery) {
	what := "POST " + d.url + " " + d.event
	if _, ok := a.Control.Take(standintest.Forge, what); ok && d.hook != nil && len(a.leads) > 0 {
		lie := *d
		lie.body = a.lie(d.event, a.leads[0])
		a.queue = append(a.queue, &lie)
	}
	if _, ok := a.Control.Take(standintest.Reorder, what); ok {
		d.due = a.now().Add(reorderDelay)
	}
	a.queue = append(a.queue, d)
	if _, ok := a.Control.Take(standintest.Duplicate, what); ok {
		twin := *d
		a.queue = append(a.queue, &twin)
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// deliverLoop sends what is due, in order, until the server closes. Between new hooks it looks
// at the clock, which tests advance.
func (a *Account) deliverLoop(ctx context.Context) {
	for {
		for d := a.pop(); d != nil; d = a.pop() {
			a.settle(d, a.post(ctx, d))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-a.later():
		}
	}
}

// later is when to look at the clock again; never while nothing waits.
func (a *Account) later() <-chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return nil
	}
	return time.After(10 * time.Millisecond)
}

// pop takes the first due hook; those of removed or disabled subscriptions are dropped.
func (a *Account) pop() *delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.queue = slices.DeleteFunc(a.queue, func(d *delivery) bool {
		return d.hook != nil && (d.hook.disabled || !slices.Contains(a.hooks, d.hook))
	})
	for i, d := range a.queue {
		if !d.due.After(now) {
			a.queue = slices.Delete(a.queue, i, i+1)
			a.sending = 1
			return d
		}
	}
	return nil
}

func (a *Account) post(ctx context.Context, d *delivery) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(d.body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", d.kind)
	req.Header.Set("User-Agent", "amoCRM-Webhooks/3.0")
	status, err := a.server.send(ctx, req, hookPatience, nil)
	return err == nil && status < 300
}

// settle records the outcome and plans the next attempt.
func (a *Account) settle(d *delivery, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sending = 0
	if ok {
		return
	}
	now := a.now()
	if h := d.hook; h != nil {
		h.failures = slices.DeleteFunc(append(h.failures, now), func(t time.Time) bool { return now.Sub(t) > failureWindow })
		h.disabled = len(h.failures) > failuresAllowed
	}
	if d.attempt < len(retries) {
		d.due = now.Add(retries[d.attempt])
		d.attempt++
		a.queue = append(a.queue, d)
	}
}

// busy reports whether a hook is due or on its way.
func (a *Account) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	return a.sending > 0 || slices.ContainsFunc(a.queue, func(d *delivery) bool { return !d.due.After(now.Add(reorderDelay)) })
}
