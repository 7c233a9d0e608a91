package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// Codes of the errors a pacer's Wait returns.
const (
	CodeRate      = "rate"         // no room within the caller's patience
	CodePaused    = "paused"       // the CRM throttled us
	CodeBlocked   = "blocked"      // the CRM shut us out; an administrator should know
	CodeOperating = "operating"    // Method is over its execution time; others may go
	CodeAway      = "limiter_away" // Redis cannot be asked
	CodeOverslept = "overslept"    // the caller's lease is over: somebody else may be doing this
)

// retryAway is when a lane tries again that found Redis away.
const retryAway = time.Second

// pacer is a crm.Pacer of one account.
type pacer struct {
	limiter *Limiter
	budget  time.Duration
	own     bucket
	egress  *bucket
	// probing: a request was granted to find out whether a pause is over, so the next answer
	// is worth a call to Redis even when it says nothing special.
	probing atomic.Bool
}

// Wait returns when one request may be sent. See crm.Pacer; the Codes say why it may not.
func (p *pacer) Wait(ctx context.Context, methods ...string) error {
	l := p.limiter
	patience := l.patience(ctx)
	for {
		a, err := p.ask(ctx, methods)
		if err != nil {
			return l.without(ctx, methods, err)
		}
		if a.granted && held(ctx) {
			return nil
		}
		if a.granted {
			return &crm.Error{Class: crm.Transient, Op: op(methods), Code: CodeOverslept, Err: errors.New("the lease is over")}
		}
		if a.wait > patience || a.method() != "" {
			return refusal(methods, a, fmt.Errorf("no room for %s", a.wait))
		}
		patience -= a.wait
		if err := l.options.Sleep(ctx, a.wait); err != nil {
			return refusal(methods, a, err)
		}
	}
}

// ask takes one request from the account's bucket and, where there is one, the address's. The
// account is looked at first, so that one without room uses up nothing of the shared address.
func (p *pacer) ask(ctx context.Context, methods []string) (answer, error) {
	if p.egress != nil {
		a, err := p.limiter.ask(ctx, p.own, 0, methods)
		if err != nil || !a.granted {
			return a, err
		}
		a, err = p.limiter.ask(ctx, *p.egress, 1, nil)
		if err != nil || !a.granted {
			return a, err
		}
		p.probed(a)
	}
	a, err := p.limiter.ask(ctx, p.own, 1, methods)
	p.probed(a)
	return a, err
}

func (p *pacer) probed(a answer) {
	if a.granted && a.probe {
		p.probing.Store(true)
	}
}

func refusal(methods []string, a answer, err error) error {
	e := &crm.Error{Class: crm.Throttled, Op: op(methods), Code: a.why, RetryAfter: a.wait, Blocked: a.why == CodeBlocked, Err: err}
	if method := a.method(); method != "" {
		e.Op, e.Method, e.Code = method, method, CodeOperating
	}
	return e
}

// method is the one that has used up its execution time, when that is why.
func (a answer) method() string {
	method, ok := strings.CutPrefix(a.why, "operating ")
	if !ok {
		return ""
	}
	return method
}

func op(methods []string) string {
	if len(methods) == 0 {
		return "wait"
	}
	return methods[0]
}

// patience is how long ctx's work may wait.
func (l *Limiter) patience(ctx context.Context) time.Duration {
	longest := l.options.Patience
	if crm.PriorityOf(ctx) == crm.Person {
		longest = l.options.PersonPatience
	}
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(deadline))
	}
	return longest
}

// without decides while Redis is away: lanes pause until it is back, a person's read may pass
// at a rate that no CRM minds.
func (l *Limiter) without(ctx context.Context, methods []string, cause error) error {
	if ctx.Err() != nil {
		return refusal(methods, answer{why: CodeRate}, ctx.Err())
	}
	now := l.wall()
	if crm.PriorityOf(ctx) == crm.Person && now.UnixMilli() >= l.quiet.Load() && l.local.AllowN(now, 1) {
		return nil
	}
	return refusal(methods, answer{wait: retryAway, why: CodeAway}, fmt.Errorf("limiter: %w", cause))
}

// Seen learns from an answer. Throttled together with Operating or OperatingResetAt means that
// only the methods named there were refused; Throttled alone pauses the whole bucket. An answer
// that says nothing special costs no call to Redis.
func (p *pacer) Seen(ctx context.Context, said crm.Pressure) {
	kind, args := p.tell(said)
	if kind == "" {
		return
	}
	// the caller's request may have used up its time; what it learnt is for all
	ctx = context.WithoutCancel(ctx)
	retry := min(said.RetryAfter, time.Hour).Milliseconds()
	err := p.limiter.run(ctx, p.own, "tell", append([]any{kind, retry}, args...)...).Err()
	if err == nil && p.egress != nil {
		// the time asked for is the account's; the address pauses by its own growing one
		err = p.limiter.run(ctx, *p.egress, "tell", kind, 0).Err()
	}
	if err != nil && (said.Throttled || said.Blocked) {
		p.limiter.quiet.Store(p.limiter.wall().Add(max(said.RetryAfter, retryAway)).UnixMilli())
	}
}

// tell turns an answer into the script's words; kind "" means that there is nothing to tell.
func (p *pacer) tell(said crm.Pressure) (kind string, args []any) {
	refused := said.Throttled && len(said.Operating)+len(said.OperatingResetAt) > 0
	for method, used := range said.Operating {
		if refused || p.budget > 0 && used >= p.budget/2 {
			args = append(args, method, used.Milliseconds(), resetMillis(said, method))
		}
	}
	for method := range said.OperatingResetAt {
		if _, known := said.Operating[method]; refused && !known {
			args = append(args, method, 0, resetMillis(said, method))
		}
	}
	switch {
	case said.Blocked:
		kind = "blocked"
	case refused:
		kind = "operating"
	case said.Throttled:
		kind = "throttled"
	case p.probing.Swap(false), len(args) > 0:
		kind = "fine"
	}
	return kind, args
}

func resetMillis(said crm.Pressure, method string) int64 {
	if at, ok := said.OperatingResetAt[method]; ok {
		return at.UnixMilli()
	}
	return 0
}
