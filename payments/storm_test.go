package payments_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/hooks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// storm is a shop whose only acquirer is a double that misbehaves, and whose customers, bank staff and administrator do
// what comes into their minds. Time is the double's, and jumps from one deed to the next.
type storm struct {
	*shop
	rig
	key   string
	page  string // base URL of the double
	post  *carrier
	dice  *rand.Rand
	plan  []deed      // what is still to happen, the earliest first
	fair  atomic.Bool // nobody misbehaves any more
	tally map[string]int

	address  string // ours for notices
	invoices []payments.Invoice
	orphans  int
}

type deed struct {
	at time.Time
	do func()
}

// TestNoMisbehaviourOfAnAcquirerCostsAUnit sends random payments through every adapter and its double, while the doubles
// and the network double, reorder, forge, replay, delay and drop what they can. In the end the ledger, the facts and the
// double's own books are equal to the last unit. DEALPAY_STORM_PAYMENTS says how many payments there are in all (10000
// for the long run); DEALPAY_STORM_SEED repeats a run, as far as the goroutines of the doubles let it.
func TestNoMisbehaviourOfAnAcquirerCostsAUnit(t *testing.T) {
	payments := setting("DEALPAY_STORM_PAYMENTS", 105)
	seed := setting("DEALPAY_STORM_SEED", int(time.Now().UnixNano()%1_000_000))
	for _, key := range slices.Sorted(maps.Keys(rigs)) {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					t.Logf("DEALPAY_STORM_SEED=%d", seed)
				}
			}()
			s := newStorm(t, key, uint64(seed))
			s.rage((payments + len(rigs) - 1) / len(rigs))
			s.calm()
			s.compare()
		})
	}
}

func setting(name string, otherwise int) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return otherwise
	}
	return n
}

func newStorm(t *testing.T, key string, seed uint64) *storm {
	s := &storm{shop: newShop(t), key: key, dice: rand.New(rand.NewPCG(seed, uint64(len(key)))), tally: map[string]int{}}
	s.post = &carrier{dice: rand.New(rand.NewPCG(seed, 1)), tally: map[string]int{}, missing: map[string]int{}, fair: s.fair.Load}
	var now func() time.Time
	s.rig = rigs[key](&http.Client{Transport: s.post, Timeout: 10 * time.Second}, func() time.Time { return now() })
	now = s.control.Clock.Now
	t.Cleanup(s.server.Close)
	bank := httptest.NewServer(s.server)
	t.Cleanup(bank.Close)
	bank.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.page = bank.URL
	s.Now, s.HTTP = now, &http.Client{Timeout: 2 * time.Second} // real time, which a slow double makes us wait
	s.Providers = map[string]payments.Provider{key: s.provider(bank.URL)}
	s.post.hooks = hooks.Handler(s.Service, now, slog.New(slog.DiscardHandler))
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, key, s.credentials, true))
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Connections(ctx, tx)
		require.NoError(t, err)
		s.address, err = s.HookURL(tx, all[len(all)-1])
		if s.hook != nil {
			s.hook(s.address)
		}
		return err
	})
	s.command("late", map[string]any{"allow": true})
	return s
}

// command does what customers and staff do at the acquirer. It returns the status and the answer.
func (s *storm) command(name string, in any) (int, string) {
	s.Helper()
	body, err := json.Marshal(in)
	require.NoError(s, err)
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/_control/"+name, strings.NewReader(string(body))))
	return w.Code, w.Body.String()
}

// later plans a deed.
func (s *storm) later(in time.Duration, do func()) {
	d := deed{s.Now().Add(in), do}
	i, _ := slices.BinarySearchFunc(s.plan, d, func(a, b deed) int { return cmp.Or(a.at.Compare(b.at), -1) })
	s.plan = slices.Insert(s.plan, i, d)
}

// chance says yes so many times out of a hundred.
func (s *storm) chance(percent int) bool { return s.dice.IntN(100) < percent }

// soon is a random time of at most so long.
func (s *storm) soon(most time.Duration) time.Duration {
	return time.Duration(s.dice.Int64N(int64(most)))
}

// every is the time between two sales. Attempts that nobody pays are asked about each hour of their first day, and all the time
// while their page is open: sales in a row would spend the run on that.
const every = 3 * time.Hour

// rage lets n customers come, one after the other, and everything else happen meanwhile.
func (s *storm) rage(n int) {
	for i := range n {
		s.later(time.Duration(i)*every, func() { s.sell(i) })
	}
	for i := range n/4 + 4 {
		s.later(time.Duration(i)*4*every, func() { // what was held back comes within a day
			if s.chance(40) {
				s.post.release(5)
			}
			s.decideSomething()
		})
	}
	for len(s.plan) > 0 {
		next := s.plan[0]
		s.plan = s.plan[1:]
		s.advance(next.at.Sub(s.Now()))
		s.misbehave()
		next.do()
		s.work()
	}
}

func (s *storm) advance(d time.Duration) {
	if d > 0 {
		s.control.Clock.Advance(d)
	}
}

// calm lets the rest of what was sent arrive, and the week of checks and nightly comparisons end.
func (s *storm) calm() {
	s.fair.Store(true)
	s.post.release(len(s.post.kept) / 10)
	for range 18 {
		s.settle()
		s.work()
		s.advance(12 * time.Hour)
	}
	s.settle()
	s.work()
}

// settle waits until what is due was sent.
func (s *storm) settle() {
	if idle := s.control.Idle; idle != nil {
		require.Eventually(s, idle, time.Minute, 5*time.Millisecond)
	}
}

// work keeps every promise that is due, as the workers do.
func (s *storm) work() {
	s.Helper()
	for range 200 {
		var due []outbox.Claim
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			due = nil
			for _, kind := range []outbox.Kind{outbox.Notice, outbox.Check, outbox.Expire, outbox.Refund, outbox.Reconcile} {
				claims, err := outbox.Take(ctx, tx, kind, 0, tenants.NewUUID(), s.Now(), time.Minute, 50)
				if err != nil {
					return err
				}
				due = append(due, claims...)
			}
			return nil
		})
		if len(due) == 0 {
			return
		}
		for _, c := range due {
			again, err := s.keep(c)
			s.In(func(ctx context.Context, tx *tenants.Tx) error {
				switch {
				case errors.Is(err, payments.ErrUnavailable):
					return lost(outbox.Again(ctx, tx, c, s.Now(), s.Now().Add(10*time.Minute), "unavailable"))
				case err != nil:
					return fmt.Errorf("%s %s: %w", c.Kind, c.Key, err)
				case again.IsZero():
					return lost(outbox.Done(ctx, tx, s.Now(), c))
				}
				return lost(outbox.Again(ctx, tx, c, s.Now(), again, ""))
			})
		}
	}
}

func lost(err error) error {
	if errors.Is(err, outbox.ErrLost) {
		return nil
	}
	return err
}

func (s *storm) keep(c outbox.Claim) (time.Time, error) {
	if c.Kind == outbox.Reconcile {
		return s.night(c.Key)
	}
	ref := uuid.MustParse(c.Key)
	switch c.Kind {
	case outbox.Check:
		return s.Check(s.Context(), s.ID, ref)
	case outbox.Notice:
		return s.Match(s.Context(), s.ID, ref)
	case outbox.Expire:
		return s.Expire(s.Context(), s.ID, ref)
	}
	return s.SendRefund(s.Context(), s.ID, ref)
}

func (s *storm) night(key string) (time.Time, error) {
	for {
		stretch, err := s.NextStretch(s.Context(), s.ID, key)
		if err != nil || len(stretch.Attempts) == 0 {
			return time.Time{}, errors.Join(err, s.Finish(s.Context(), s.ID, stretch.Run))
		}
		for _, a := range stretch.Attempts {
			if err := s.Compare(s.Context(), s.ID, stretch.Run, a, false); err != nil {
				return time.Time{}, err
			}
		}
	}
}
