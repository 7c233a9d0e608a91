package tasks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

// bench is a limiter over a real, long-running Redis, on a clock that sleeping moves.
type bench struct {
	*Limiter
	client *redis.Client
	kill   func()
	now    time.Time
	slept  time.Duration
}

func newBench(t testing.TB, o LimiterOptions) *bench {
	client, kill := startRedis(t)
	b := &bench{client: client, kill: kill, now: epoch}
	o.Now = func() time.Time { return b.now }
	o.Sleep = func(ctx context.Context, d time.Duration) error {
		b.slept += d
		b.now = b.now.Add(d)
		return ctx.Err()
	}
	b.Limiter = NewLimiter(client, o)
	require.NoError(t, b.Warm(t.Context()))
	b.now = b.now.Add(time.Hour)
	return b
}

func as(t testing.TB, p crm.Priority) context.Context { return crm.WithPriority(t.Context(), p) }

// refusedFor requires that Wait refuses, and returns for how long and with which code.
func refusedFor(t *testing.T, ctx context.Context, p crm.Pacer, methods ...string) (time.Duration, string) {
	t.Helper()
	var e *crm.Error
	require.ErrorAs(t, p.Wait(ctx, methods...), &e)
	require.Equal(t, crm.Throttled, e.Class)
	require.False(t, e.Ambiguous)
	return e.RetryAfter, e.Code
}

var (
	portal = Account{System: crm.Bitrix24, Key: "acme"}
	amo    = Account{System: crm.AmoCRM, Key: "1"}
)

func TestAnIdleAccountWaitsForNothing(t *testing.T) {
	client, _ := startRedis(t)
	l := NewLimiter(client, LimiterOptions{})
	require.NoError(t, l.Warm(t.Context()))
	time.Sleep(AmoCRM.Window) // Redis's own clock: after that a lost window would be over
	for _, a := range []Account{amo, {System: crm.Kommo, Key: "1"}} {
		began := time.Now()
		for range 4 {
			require.NoError(t, l.For(a).Wait(t.Context(), "leads"))
		}
		require.Less(t, time.Since(began), 60*time.Millisecond, a.System)
	}
}

func TestLowerPrioritiesLeaveRoom(t *testing.T) {
	b := newBench(t, LimiterOptions{Patience: time.Nanosecond, PersonPatience: time.Nanosecond})
	grants := func(p crm.Priority) (n int) {
		for b.For(portal).Wait(as(t, p)) == nil {
			n++
		}
		return n
	}
	require.Equal(t, 23, grants(crm.Housekeeping))
	require.Equal(t, 19, grants(crm.Sync))
	require.Equal(t, 4, grants(crm.Person))
	wait, code := refusedFor(t, as(t, crm.Sync), b.For(portal))
	require.Equal(t, 2500*time.Millisecond, wait)
	require.Equal(t, CodeRate, code)

	enterprise := portal
	enterprise.Enterprise = true
	require.NoError(t, b.For(enterprise).Wait(t.Context()), "a bigger plan helps at once")
}

func TestWaitingIsPatientAsTheWorkIs(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	p := b.For(amo)
	for range 20 {
		require.NoError(t, p.Wait(t.Context()))
	}
	require.InDelta(t, 2*1070+5*137, b.slept.Milliseconds(), 300)

	p.Seen(t.Context(), crm.Pressure{Throttled: true, RetryAfter: 10 * time.Second})
	wait, code := refusedFor(t, as(t, crm.Person), p)
	require.Equal(t, 10*time.Second, wait)
	require.Equal(t, CodePaused, code)
	hurried, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	wait, _ = refusedFor(t, hurried, p)
	require.Equal(t, 10*time.Second, wait)

	b.slept = 0
	require.NoError(t, p.Wait(t.Context()), "synchronisation waits it out")
	require.Equal(t, 10*time.Second, b.slept)
}

func TestWorkersAgreeByRedisClock(t *testing.T) {
	client, _ := startRedis(t)
	require.NoError(t, NewLimiter(client, LimiterOptions{}).Warm(t.Context()))
	time.Sleep(AmoCRM.Window)
	began, done := time.Now(), make(chan error)
	for range 3 {
		l := NewLimiter(client, LimiterOptions{})
		go func() {
			var err error
			for i := 0; i < 7 && err == nil; i++ {
				err = l.For(amo).Wait(t.Context())
			}
			done <- err
		}()
	}
	for range 3 {
		require.NoError(t, <-done)
	}
	require.Greater(t, time.Since(began), 2*AmoCRM.Window-10*time.Millisecond, "21 requests are three windows")
	require.Less(t, time.Since(began), 5*time.Second)
}

func TestACancelledWaitEnds(t *testing.T) {
	client, _ := startRedis(t)
	l := NewLimiter(client, LimiterOptions{})
	p := l.For(amo)
	p.Seen(t.Context(), crm.Pressure{Throttled: true, RetryAfter: 20 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	require.ErrorIs(t, p.Wait(ctx), context.Canceled)
	_, code := refusedFor(t, ctx, p)
	require.Equal(t, CodeRate, code, "a cancelled context says nothing about Redis")
}

func TestTheCRMIsBelievedOverOurOwnCount(t *testing.T) {
	b := newBench(t, LimiterOptions{PersonPatience: time.Nanosecond})
	p := b.For(portal)
	require.NoError(t, p.Wait(t.Context()))
	p.Seen(t.Context(), crm.Pressure{Throttled: true})
	wait, _ := refusedFor(t, as(t, crm.Person), p)
	require.Equal(t, 2500*time.Millisecond, wait, "the CRM's bucket is full, so ours is")

	p.Seen(t.Context(), crm.Pressure{Throttled: true, RetryAfter: 7 * time.Second})
	wait, _ = refusedFor(t, as(t, crm.Person), b.For(portal))
	require.Equal(t, 7*time.Second, wait, "another worker's pacer knows it too")
}

func TestAPauseThatTheCRMNamesDoesNotGrow(t *testing.T) {
	b := newBench(t, LimiterOptions{PersonPatience: time.Nanosecond})
	p, person := b.For(amo), as(t, crm.Person)
	require.NoError(t, p.Wait(person))
	for range 5 {
		p.Seen(t.Context(), crm.Pressure{Throttled: true, RetryAfter: time.Second})
		wait, _ := refusedFor(t, person, p)
		require.Equal(t, time.Second, wait)
		b.now = b.now.Add(wait)
		require.NoError(t, p.Wait(person), "one goes to find out")
	}
}

func TestPausesGrowUntilAnAnswerIsGood(t *testing.T) {
	b := newBench(t, LimiterOptions{PersonPatience: time.Nanosecond})
	p, person := b.For(amo), as(t, crm.Person)
	require.NoError(t, p.Wait(person))
	for _, pause := range []time.Duration{1, 2, 4, 8} {
		p.Seen(t.Context(), crm.Pressure{Throttled: true})
		p.Seen(t.Context(), crm.Pressure{Throttled: true}) // of a request under way
		wait, code := refusedFor(t, person, p)
		require.Equal(t, pause*time.Second, wait)
		require.Equal(t, CodePaused, code)
		b.now = b.now.Add(wait)
		require.NoError(t, p.Wait(person), "one goes to find out")
		_, code = refusedFor(t, person, b.For(amo))
		require.Equal(t, CodePaused, code, "the others wait for its answer")
	}
	p.Seen(t.Context(), crm.Pressure{})
	require.NoError(t, b.For(amo).Wait(person))

	b.now = b.now.Add(2 * time.Minute)
	p.Seen(t.Context(), crm.Pressure{Throttled: true})
	wait, _ := refusedFor(t, person, p)
	require.Equal(t, time.Second, wait, "old trouble is forgotten")
}

func TestAPauseEndsThoughNobodyAnswersItsFirstRequest(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	b.For(amo).Seen(t.Context(), crm.Pressure{Throttled: true})
	require.NoError(t, b.For(amo).Wait(t.Context()))
	b.slept = 0
	require.NoError(t, b.For(amo).Wait(t.Context()))
	require.Equal(t, probeTimeout, b.slept)
}

func TestBeingShutOutOpensTheBreaker(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	p := b.For(amo)
	p.Seen(t.Context(), crm.Pressure{Blocked: true})
	wait, code := refusedFor(t, t.Context(), p)
	require.Equal(t, 5*time.Minute, wait)
	require.Equal(t, CodeBlocked, code)
	h, err := b.Snapshot(t.Context(), amo)
	require.NoError(t, err)
	require.True(t, h.BlockedUntil.Equal(b.now.Add(5*time.Minute)))
	require.NoError(t, b.For(Account{System: crm.AmoCRM, Key: "2"}).Wait(t.Context()), "amoCRM blocks the account alone")

	b.now = h.BlockedUntil
	require.NoError(t, p.Wait(t.Context()))
	p.Seen(t.Context(), crm.Pressure{Blocked: true})
	wait, _ = refusedFor(t, t.Context(), p)
	require.Equal(t, 10*time.Minute, wait)
}

func TestKommoPausesTheAddressBrieflyAndTheAccountAsAsked(t *testing.T) {
	b := newBench(t, LimiterOptions{PersonPatience: time.Nanosecond})
	one, two := b.For(Account{System: crm.Kommo, Key: "1"}), b.For(Account{System: crm.Kommo, Key: "2"})
	require.NoError(t, one.Wait(t.Context()))
	one.Seen(t.Context(), crm.Pressure{Throttled: true, RetryAfter: 5 * time.Minute})
	wait, _ := refusedFor(t, t.Context(), one)
	require.Equal(t, 5*time.Minute, wait)
	wait, _ = refusedFor(t, as(t, crm.Person), two)
	require.Equal(t, time.Second, wait)

	h, err := b.Snapshot(t.Context(), Account{System: crm.Kommo, Key: "1"})
	require.NoError(t, err)
	require.True(t, h.PausedUntil.Equal(b.now.Add(5*time.Minute)))
	b.now = b.now.Add(time.Second)
	require.NoError(t, two.Wait(t.Context()))
	require.ErrorContains(t, one.Wait(t.Context()), "throttled")
}

func TestAMethodOverItsOperatingTimeWaitsAlone(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	p := b.For(portal)
	reset := b.now.Add(4 * time.Minute)
	p.Seen(t.Context(), crm.Pressure{
		Operating:        map[string]time.Duration{"crm.item.update": 421 * time.Second, "crm.item.get": 300 * time.Second, "user.current": time.Second},
		OperatingResetAt: map[string]time.Time{"crm.item.update": reset, "crm.item.get": reset, "user.current": reset},
	})
	var e *crm.Error
	require.ErrorAs(t, p.Wait(t.Context(), "crm.item.get", "crm.item.update"), &e)
	require.Equal(t, []string{"crm.item.update", CodeOperating}, []string{e.Method, e.Code})
	require.Equal(t, 4*time.Minute, e.RetryAfter)
	require.NoError(t, p.Wait(t.Context(), "crm.item.get", "user.current"))

	h, err := b.Snapshot(t.Context(), portal)
	require.NoError(t, err)
	require.Len(t, h.Operating, 2, "only what is near its limit is worth telling")
	for _, o := range h.Operating {
		require.Equal(t, 420*time.Second, o.Limit)
		require.True(t, o.ResetAt.Equal(reset))
		require.Greater(t, o.Used, 200*time.Second)
	}
	b.now = reset.Add(-time.Second)
	wait, _ := refusedFor(t, t.Context(), p, "crm.item.get", "crm.item.update")
	require.Equal(t, time.Second, wait, "however short its wait, others need not share it")
	b.now = reset
	require.NoError(t, p.Wait(t.Context(), "crm.item.update"))
}

func TestARefusedMethodWaitsThoughItsTimeLookedSmall(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	p := b.For(portal)
	refuse := func(method string, reset time.Time) time.Duration {
		p.Seen(t.Context(), crm.Pressure{Throttled: true, OperatingResetAt: map[string]time.Time{method: reset}})
		wait, code := refusedFor(t, as(t, crm.Person), p, method)
		require.Equal(t, CodeOperating, code)
		require.NoError(t, p.Wait(t.Context(), "user.current"), "the bucket is not paused")
		return wait
	}
	require.Equal(t, time.Minute, refuse("a", b.now.Add(time.Minute)))
	require.Equal(t, 10*time.Second, refuse("b", b.now), "at least")
	require.Equal(t, 10*time.Minute, refuse("c", b.now.Add(time.Hour)), "at most, whatever the CRM's clock says")
}

func TestASnapshotCountsWhatIsLeft(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	left := func(a Account) int {
		h, err := b.Snapshot(t.Context(), a)
		require.NoError(t, err)
		require.True(t, h.PausedUntil.IsZero() && h.BlockedUntil.IsZero())
		return h.Left
	}
	require.Equal(t, 46, left(portal))
	require.Equal(t, 7, left(amo))
	require.NoError(t, b.For(portal).Wait(t.Context()))
	require.NoError(t, b.For(amo).Wait(t.Context()))
	require.Equal(t, 45, left(portal))
	require.Equal(t, 6, left(amo))
	b.now = b.now.Add(1070 * time.Millisecond)
	require.Equal(t, 46, left(portal))
	require.Equal(t, 7, left(amo))
}

func TestWithoutRedisLanesPauseAndPersonsGoSlowly(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	b.kill()
	wait, code := refusedFor(t, t.Context(), b.For(portal))
	require.Equal(t, time.Second, wait)
	require.Equal(t, CodeAway, code)
	began := time.Now()
	for range 5 {
		require.NoError(t, b.For(amo).Wait(as(t, crm.Person)))
	}
	require.Less(t, time.Since(began), 500*time.Millisecond, "a Redis known to be away is not asked again and again")
	require.Error(t, b.For(amo).Wait(as(t, crm.Person)))

	b.now = b.now.Add(10 * time.Second)
	b.For(amo).Seen(t.Context(), crm.Pressure{Throttled: true})
	require.Error(t, b.For(amo).Wait(as(t, crm.Person)), "a CRM that complains meanwhile is heard")
	b.now = b.now.Add(2 * time.Second)
	require.NoError(t, b.For(amo).Wait(as(t, crm.Person)))
	_, err := b.Snapshot(t.Context(), portal)
	require.Error(t, err)
}

func TestRedisThatComesBackIsAskedAgain(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	b.away.Store(b.now.Add(retryAway / 2).UnixMilli())
	require.ErrorIs(t, errors.Unwrap(errors.Unwrap(b.For(portal).Wait(t.Context()))), errAway)
	b.now = b.now.Add(retryAway)
	require.NoError(t, b.For(portal).Wait(t.Context()))
}

func TestIdleBucketsAreForgotten(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	require.NoError(t, b.For(portal).Wait(t.Context()))
	require.NoError(t, b.For(Account{System: crm.Kommo, Key: "1"}).Wait(t.Context()))
	keys, err := b.client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{bornKey, "dp:lim:{bitrix24:acme}", "dp:lim:{kommo:1}", "dp:lim:{egress:kommo:}"}, keys)
	for _, key := range keys {
		if key != bornKey {
			ttl, err := b.client.PTTL(t.Context(), key).Result()
			require.NoError(t, err)
			require.InDelta(t, time.Minute, ttl, float64(5*time.Second), key)
		}
	}
}

func TestAClockSetBackFreezesNothing(t *testing.T) {
	b := newBench(t, LimiterOptions{})
	for range 7 {
		require.NoError(t, b.For(amo).Wait(as(t, crm.Person)))
	}
	b.now = b.now.Add(-30 * time.Minute)
	require.NoError(t, b.For(amo).Wait(as(t, crm.Person)))
	require.LessOrEqual(t, b.slept, AmoCRM.Window)
}

// BenchmarkGrant is one Wait that finds room: one call to Redis.
func BenchmarkGrant(b *testing.B) {
	client, _ := startRedis(b)
	roomy := Bitrix24Standard
	roomy.Capacity, roomy.Drain = 1e9, 1e6
	l := NewLimiter(client, LimiterOptions{Limits: func(Account) Limits { return roomy }})
	p := l.For(portal)
	ctx := as(b, crm.Person)
	for b.Loop() {
		if err := p.Wait(ctx, "crm.item.update"); err != nil {
			b.Fatal(err)
		}
	}
}
