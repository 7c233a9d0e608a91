package tasks

import (
	"context"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dealpay/dealpay/crm"
)

// leaks counts as the CRM with a leaky bucket does.
type leaks struct {
	capacity, drain, level float64
	last                   time.Time
}

func (m *leaks) refuses(at time.Time) bool {
	m.level = max(0, m.level-at.Sub(m.last).Seconds()*m.drain)
	m.last = at
	m.level++
	return m.level > m.capacity
}

// slides counts as a CRM does that allows count requests in any second, and in any clock second
// that begins at offset.
type slides struct {
	count    int
	offset   time.Duration
	arrivals []time.Time
}

func (m *slides) refuses(at time.Time) bool {
	m.arrivals = append(m.arrivals, at)
	sliding, aligned := 0, 0
	for i := len(m.arrivals) - 1; i >= 0 && at.Sub(m.arrivals[i]) < time.Second; i-- {
		sliding++
		if m.arrivals[i].Add(m.offset).Truncate(time.Second).Equal(at.Add(m.offset).Truncate(time.Second)) {
			aligned++
		}
	}
	return sliding > m.count || aligned > m.count
}

// worker is one process that keeps asking for requests of one account.
type worker struct {
	pacer    *pacer
	priority crm.Priority
	think    time.Duration // between a grant and the next question; at random up to this
	next     time.Time
	since    time.Time // when it began to wait for the request it asks for
}

// trial plays workers against a model of a CRM, on a clock of its own.
type trial struct {
	client  *redis.Client
	now     time.Time
	limiter *Limiter
	workers []*worker
	jitter  time.Duration

	arrivals []time.Time
	granted  map[crm.Priority]int
	longest  map[crm.Priority]time.Duration // wait
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newTrial begins with an old, empty Redis: every account is idle.
func newTrial(t require.TestingT, client *redis.Client, limits Limits) *trial {
	s := &trial{client: client, now: epoch, granted: map[crm.Priority]int{}, longest: map[crm.Priority]time.Duration{}}
	s.limiter = NewLimiter(client, LimiterOptions{
		Now: func() time.Time { return s.now }, Limits: func(Account) Limits { return limits },
	})
	require.NoError(t, client.FlushAll(context.Background()).Err())
	require.NoError(t, s.limiter.Warm(context.Background()))
	s.now = s.now.Add(time.Hour)
	return s
}

func (s *trial) join(account string, p crm.Priority, think time.Duration) {
	pacer := s.limiter.For(Account{Key: account}).(*pacer)
	s.workers = append(s.workers, &worker{pacer: pacer, priority: p, think: think, next: s.now, since: s.now})
}

// run lets the workers compete for d. Requests reach the CRM after up to jitter.
func (s *trial) run(t *rapid.T, d time.Duration) {
	// drawn from a seed: a trial makes thousands of draws, and none is worth shrinking alone
	dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	millis := func(most time.Duration) time.Duration {
		return time.Duration(dice.Int64N(most.Milliseconds()+1)) * time.Millisecond
	}
	for end := s.now.Add(d); ; {
		sort.SliceStable(s.workers, func(i, j int) bool { return s.workers[i].next.Before(s.workers[j].next) })
		w := s.workers[0]
		if !w.next.Before(end) {
			s.now = end
			return
		}
		s.now = w.next
		a, err := w.pacer.ask(crm.WithPriority(context.Background(), w.priority), nil)
		require.NoError(t, err)
		if !a.granted {
			require.Positive(t, a.wait)
			w.next = s.now.Add(a.wait + millis(2*time.Millisecond))
			continue
		}
		s.granted[w.priority]++
		s.longest[w.priority] = max(s.longest[w.priority], s.now.Sub(w.since))
		s.arrivals = append(s.arrivals, s.now.Add(millis(s.jitter)))
		w.next = s.now.Add(millis(w.think))
		w.since = w.next
	}
}

// refused is how many requests the model refuses.
func (s *trial) refused(m model) (n int) {
	sort.Slice(s.arrivals, func(i, j int) bool { return s.arrivals[i].Before(s.arrivals[j]) })
	for _, at := range s.arrivals {
		if m.refuses(at) {
			n++
		}
	}
	return n
}

func (s *trial) total() (n int) {
	for _, granted := range s.granted {
		n += granted
	}
	return n
}

// model counts as a CRM does.
type model interface{ refuses(at time.Time) bool }

// formula is a documented limit: ours, its model at the CRM, and what the model allows in d.
type formula struct {
	name   string
	limits Limits
	jitter time.Duration // that must be borne
	model  func(phase time.Duration) model
	most   func(d time.Duration) float64
	length time.Duration // of a trial
}

func leaking(name string, l Limits, length time.Duration) formula {
	return formula{
		name: name, limits: l, jitter: time.Second, length: length,
		model: func(time.Duration) model { return &leaks{capacity: l.Capacity, drain: l.Drain} },
		most:  func(d time.Duration) float64 { return l.Capacity + l.Drain*d.Seconds() },
	}
}

func sliding(name string, l Limits) formula {
	return formula{
		name: name, limits: l, jitter: 69 * time.Millisecond, length: 12 * time.Second,
		model: func(phase time.Duration) model { return &slides{count: 7, offset: phase} },
		most:  func(d time.Duration) float64 { return 7 * d.Seconds() },
	}
}

var (
	address  = sliding("kommo", Kommo)
	formulas = []formula{
		leaking("bitrix24", Bitrix24Standard, 40*time.Second), sliding("amocrm", AmoCRM), address,
		leaking("bitrix24 enterprise", Bitrix24Enterprise, 20*time.Second),
	}
)

// eachFormula checks a property of every limit, each trial with one of them.
func eachFormula(t *testing.T, property func(*rapid.T, formula, *trial)) {
	client, _ := startRedis(t)
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(formulas)-1).Draw(t, "formula")
		property(t, formulas[i], newTrial(t, client, formulas[i].limits))
	})
}

func (s *trial) requireNothingRefused(t *rapid.T, f formula) {
	phase := time.Duration(rapid.IntRange(0, 999).Draw(t, "phase of the CRM's second")) * time.Millisecond
	require.Zero(t, s.refused(f.model(phase)), f.name)
}

func TestTheCRMRefusesNothingAndLittleIsLeftUnused(t *testing.T) {
	eachFormula(t, func(t *rapid.T, f formula, s *trial) {
		s.jitter = f.jitter
		s.join("acme", crm.Sync, 10*time.Millisecond)
		s.join("acme", crm.Sync, 200*time.Millisecond)
		third := crm.Priority(rapid.IntRange(int(crm.Housekeeping), int(crm.Person)).Draw(t, "third"))
		s.join("acme", third, time.Duration(rapid.IntRange(200, 3000).Draw(t, "think"))*time.Millisecond)
		s.run(t, f.length)
		s.requireNothingRefused(t, f)
		require.GreaterOrEqual(t, float64(s.total()), f.most(f.length)/1.10, f.name)
	})
}

func TestAPersonWaitsLittleBehindADrain(t *testing.T) {
	eachFormula(t, func(t *rapid.T, f formula, s *trial) {
		s.join("acme", crm.Housekeeping, 0)
		s.join("acme", crm.Sync, 10*time.Millisecond)
		s.run(t, f.length/2)
		s.join("acme", crm.Person, 4*time.Second)
		s.run(t, f.length/2)
		require.Less(t, s.longest[crm.Person], 1100*time.Millisecond, f.name)
		s.requireNothingRefused(t, f)
	})
}

func TestARedisFlushedInADrainCausesNoStorm(t *testing.T) {
	eachFormula(t, func(t *rapid.T, f formula, s *trial) {
		s.jitter = min(f.jitter, time.Second/2)
		s.join("acme", crm.Sync, 10*time.Millisecond)
		s.join("acme", crm.Sync, 100*time.Millisecond)
		s.join("acme", crm.Person, 5*time.Second)
		before := time.Duration(rapid.Int64Range(1, f.length.Milliseconds()).Draw(t, "flushed after")) * time.Millisecond
		s.run(t, before)
		require.NoError(t, s.client.FlushAll(context.Background()).Err())
		s.run(t, f.length-before)
		s.requireNothingRefused(t, f)
		// the burst may be gone, and two seconds
		require.GreaterOrEqual(t, float64(s.total()), (f.most(f.length-2*time.Second)-f.limits.Capacity)/1.10, f.name)
	})
}

func TestKommoAccountsShareTheAddress(t *testing.T) {
	client, _ := startRedis(t)
	rapid.Check(t, func(t *rapid.T) {
		s := newTrial(t, client, Kommo)
		s.jitter = address.jitter
		for _, account := range []string{"one", "two", "three"} {
			s.join(account, crm.Sync, 50*time.Millisecond)
		}
		s.join("four", crm.Person, 3*time.Second)
		s.run(t, 10*time.Second)
		s.requireNothingRefused(t, address)
		require.GreaterOrEqual(t, float64(s.total()), address.most(10*time.Second)/1.10)
		require.Less(t, s.longest[crm.Person], 1100*time.Millisecond)
	})
}
