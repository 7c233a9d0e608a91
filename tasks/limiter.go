package tasks

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/dealpay/dealpay/crm"
)

//go:embed limiter.lua
var limiterSource string

var limiterScript = redis.NewScript(limiterSource)

// bornKey marks since when this Redis remembers.
const bornKey = "dp:lim:born"

// errAway is returned while Redis is not asked because it failed a moment ago.
var errAway = errors.New("redis is away")

// Account names a CRM account whose requests share one bucket.
type Account struct {
	System     crm.System
	Key        string // permanent key of the account: member_id, account_id
	Enterprise bool   // Bitrix24's Enterprise plan; a change of plan takes effect with the next For
}

// LimiterOptions are a limiter's settings. The zero value is ready.
type LimiterOptions struct {
	Limits func(Account) Limits // default LimitsOf
	Egress string               // label of our outgoing address; workers behind one address share it

	Patience       time.Duration // longest Wait of Sync and Housekeeping, within ctx's deadline; default 30 s
	PersonPatience time.Duration // longest Wait of a Person; default 2 s
	StoreTimeout   time.Duration // longest call to Redis; default 500 ms

	Now   func() time.Time                           // default Redis's own clock, so that workers agree
	Sleep func(context.Context, time.Duration) error // default a timer
}

// Limiter keeps requests to the CRMs within their limits, over all processes that share one
// Redis. It holds nothing per account: buckets are keys that expire when idle.
//
// A bucket lives under one key with the account as its hash tag. Kommo's second bucket, of the
// outgoing address, is shared by all accounts and so cannot be in the same Cluster slot: it
// is a second call of the script.
//
// After Redis lost its data, buckets count as full at the time of the loss: lanes wait seconds,
// the CRM refuses nothing. The loss is seen by a mark of its own key, so a Cluster that loses
// only the shard of some accounts is noticed by the CRM's 429 instead.
type Limiter struct {
	redis   redis.UniversalClient
	options LimiterOptions

	// While Redis is away persons share this bucket, slower than any CRM's.
	local *rate.Limiter
	quiet atomic.Int64 // ms: until when persons wait too, because a CRM said so meanwhile
	away  atomic.Int64 // ms: until when Redis is not asked
}

// NewLimiter returns a limiter over client. Set ContextTimeoutEnabled on the client, so that a
// Redis that hangs costs StoreTimeout and not the client's own time-outs.
func NewLimiter(client redis.UniversalClient, o LimiterOptions) *Limiter {
	if o.Limits == nil {
		o.Limits = LimitsOf
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	o.Patience = orDefault(o.Patience, 30*time.Second)
	o.PersonPatience = orDefault(o.PersonPatience, 2*time.Second)
	o.StoreTimeout = orDefault(o.StoreTimeout, 500*time.Millisecond)
	return &Limiter{redis: client, options: o, local: rate.NewLimiter(1, 5)}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Warm sets the mark of the data set's age when a process starts, so that the first calls over
// an empty Redis don't wait as after a loss. It may be left out.
func (l *Limiter) Warm(ctx context.Context) error {
	_, err := l.born(ctx)
	return err
}

// For returns the pacer of an account. It is cheap and safe for concurrent use.
func (l *Limiter) For(a Account) crm.Pacer {
	limits := l.options.Limits(a)
	p := &pacer{limiter: l, budget: limits.budget(), own: bucket{key: key(string(a.System), a.Key), script: limits.script()}}
	if limits.Egress != nil {
		p.egress = &bucket{key: key("egress", string(a.System)+":"+l.options.Egress), script: limits.Egress.script()}
	}
	return p
}

func key(kind, name string) string { return "dp:lim:{" + kind + ":" + name + "}" }

// Headroom is what an account may still do.
type Headroom struct {
	Left         int       // requests a person could make at once
	PausedUntil  time.Time // the CRM throttled us; zero when it did not
	BlockedUntil time.Time // the CRM shut us out; zero when it did not
	Operating    []Budget  // methods that used up half of their execution time, or more
}

// Budget is the execution time of one method within ten minutes.
type Budget struct {
	Method      string
	Used, Limit time.Duration // at Limit the method waits until ResetAt
	ResetAt     time.Time
}

// Snapshot tells an account's head-room, for the health page. It changes nothing.
func (l *Limiter) Snapshot(ctx context.Context, a Account) (Headroom, error) {
	p := l.For(a).(*pacer)
	h, err := l.look(ctx, p.own, p.budget)
	if err != nil || p.egress == nil {
		return h, err
	}
	address, err := l.look(ctx, *p.egress, 0)
	if err != nil {
		return h, err
	}
	h.Left = min(h.Left, address.Left)
	h.PausedUntil = later(h.PausedUntil, address.PausedUntil)
	h.BlockedUntil = later(h.BlockedUntil, address.BlockedUntil)
	return h, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// bucket is one key and the limits that hold for it.
type bucket struct{ key, script string }

func (l *Limiter) look(ctx context.Context, b bucket, budget time.Duration) (Headroom, error) {
	row, err := l.run(ctx, b, "look").Slice()
	if err != nil {
		return Headroom{}, fmt.Errorf("limiter: look at %s: %w", b.key, err)
	}
	h := Headroom{Left: int(row[0].(int64)), PausedUntil: at(row[1]), BlockedUntil: at(row[2])}
	for row = row[3:]; len(row) >= 3; row = row[3:] {
		used := time.Duration(row[1].(int64)) * time.Millisecond
		h.Operating = append(h.Operating, Budget{Method: row[0].(string), Used: used, Limit: budget, ResetAt: at(row[2])})
	}
	return h, nil
}

// at is a time the script answered; 0 is the zero time.
func at(ms any) time.Time {
	if n := ms.(int64); n != 0 {
		return time.UnixMilli(n)
	}
	return time.Time{}
}

// answer is the script's word on one request.
type answer struct {
	granted bool
	wait    time.Duration // when not granted
	why     string
	probe   bool // the first request after a pause
}

// ask asks a bucket for one request; without take it only looks whether there is room.
func (l *Limiter) ask(ctx context.Context, b bucket, take int, methods []string) (answer, error) {
	born := any("")
	for {
		args := append([]any{int(crm.PriorityOf(ctx)), take, born}, anys(methods)...)
		row, err := l.run(ctx, b, "ask", args...).Slice()
		if err != nil {
			return answer{}, err
		}
		if verdict := row[0].(int64); verdict >= 0 {
			return answer{
				granted: verdict == 1, wait: time.Duration(row[1].(int64)) * time.Millisecond,
				why: row[2].(string), probe: row[3].(int64) == 1,
			}, nil
		}
		if born, err = l.born(ctx); err != nil {
			return answer{}, err
		}
	}
}

func anys(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = text
	}
	return all
}

func (l *Limiter) born(ctx context.Context) (int64, error) {
	return l.run(ctx, bucket{key: bornKey}, "born").Int64()
}

// run runs the script, or fails at once when Redis failed a moment ago.
func (l *Limiter) run(ctx context.Context, b bucket, op string, args ...any) *redis.Cmd {
	if l.wall().UnixMilli() < l.away.Load() {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(errAway)
		return cmd
	}
	now := int64(0)
	if l.options.Now != nil {
		now = l.options.Now().UnixMilli()
	}
	bounded, cancel := context.WithTimeout(ctx, l.options.StoreTimeout)
	defer cancel()
	cmd := limiterScript.Run(bounded, l.redis, []string{b.key}, append([]any{op, now, b.script}, args...)...)
	if cmd.Err() != nil && ctx.Err() == nil {
		l.away.Store(l.wall().Add(retryAway / 2).UnixMilli())
	}
	return cmd
}

// wall is this process's clock, for what needs no agreement with other processes.
func (l *Limiter) wall() time.Time {
	if l.options.Now != nil {
		return l.options.Now()
	}
	return time.Now()
}
