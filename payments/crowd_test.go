package payments_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/hooks"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// post is an acquirer whose notices are queries: order, key, and whether the signature is good.
type post struct{ payments.Provider }

func (post) Hear(_ payments.Connection, n payments.Notice) (payments.Heard, error) {
	q, err := url.ParseQuery(n.Query)
	if err != nil {
		return payments.Heard{}, payments.ErrNotice
	}
	if q.Has("panic") {
		panic("a notice that nobody thought of")
	}
	return payments.Heard{Reference: q.Get("order"), Key: q.Get("key"), Signed: true, Authentic: q.Get("sign") != "bad"}, nil
}

// posted is a shop whose till sends such notices, and the key of its address.
func posted(t *testing.T) (*shop, string) {
	s := newShop(t)
	s.Providers["till"] = post{s.Till}
	var key string
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Connections(ctx, tx)
		require.NoError(t, err)
		address, err := s.HookURL(tx, all[0])
		key = address[strings.LastIndex(address, "/")+1:]
		return err
	})
	return s, key
}

func query(q string) payments.Notice {
	return payments.Notice{Method: "POST", Query: q, ReceivedAt: time.Unix(1_800_000_000, 0)}
}

// numbers reads one row of integers as the tenant.
func (s *shop) numbers(sql string) (n []int) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error { return tx.QueryRow(ctx, sql).Scan(&n) })
	return n
}

func TestNoticesThatComeAtOnceShareATransactionAndAreKeptOnce(t *testing.T) {
	s, key := posted(t)
	owner, err := pgx.Connect(t.Context(), s.Fixture.URL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.Background()) }()
	held, err := owner.Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), `LOCK TABLE notices IN SHARE MODE`) // the first one waits, so all others wait together
	require.NoError(t, err)

	var mu sync.Mutex
	outcomes := map[payments.Outcome]int{}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			_, outcome, err := s.Take(context.WithoutCancel(t.Context()), "till", key, query(fmt.Sprint("order=none&key=", i%40)))
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
			if err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			require.Eventually(t, func() bool {
				return s.numbers(`SELECT ARRAY[count(*)::int] FROM pg_locks WHERE NOT granted`)[0] == 1
			}, 10*time.Second, time.Millisecond)
		}
	}
	time.Sleep(100 * time.Millisecond) // time to queue up; too little only makes more groups
	require.NoError(t, held.Commit(t.Context()))
	all.Wait()
	require.Equal(t, map[payments.Outcome]int{payments.Accepted: 40, payments.Duplicate: 20}, outcomes)
	rows := s.numbers(`SELECT ARRAY[count(*), sum(times), count(DISTINCT xmin::text)]::int[] FROM notices`)
	require.Equal(t, []int{40, 60}, rows[:2])
	require.Less(t, rows[2], 20, "transactions")
	require.Equal(t, []int{40}, s.numbers(`SELECT ARRAY[count(*)]::int[] FROM outbox WHERE kind = 'notice'`))
}

func TestABadNoticeDoesNotSpoilItsGroup(t *testing.T) {
	s, key := posted(t)
	in := s.Invoice("1", 15_000_00)
	a := s.Try(in)
	type result struct {
		outcome payments.Outcome
		err     error
	}
	notices := []string{"order=" + a.Reference + "&key=good", "order=x&key=forged&sign=bad", "order=a%00b&key=nul", "order=%ff&key=latin", "key=" + strings.Repeat("k", 3000), "%zz"}
	results := make([]result, len(notices))
	var all sync.WaitGroup
	for i, q := range notices {
		all.Go(func() { _, results[i].outcome, results[i].err = s.Take(t.Context(), "till", key, query(q)) })
	}
	all.Wait()
	require.NoError(t, results[0].err)
	require.Equal(t, payments.Accepted, results[0].outcome)
	require.ErrorIs(t, results[1].err, payments.ErrForged)
	require.Equal(t, payments.Unverified, results[1].outcome)
	for i, r := range results[2:] {
		require.ErrorIs(t, r.err, payments.ErrNotice, notices[2+i])
	}
	require.Equal(t, []int{1, 1}, s.numbers(`SELECT ARRAY[count(*), count(attempt_id)]::int[] FROM notices`))
	require.Equal(t, []int{1}, s.numbers(`SELECT ARRAY[count(*)]::int[] FROM audit WHERE action = 'notice.refused'`))

	_, outcome, err := s.Take(t.Context(), "till", key, query("panic=1"))
	require.ErrorContains(t, err, "nobody thought of")
	require.Equal(t, payments.Broken, outcome)
	_, outcome, err = s.Take(t.Context(), "till", key, query("order=none&key=after"))
	require.NoError(t, err)
	require.Equal(t, payments.Accepted, outcome)
	_, _, err = s.Take(t.Context(), "till", "another-key", query("order=none&key=after"))
	require.ErrorIs(t, err, payments.ErrNotFound)
}

func TestTwoProcessesTakeTheSameNoticesInAnyOrder(t *testing.T) {
	s, key := posted(t)
	address, err := url.Parse(s.Fixture.URL)
	require.NoError(t, err)
	named := address.Query()
	named.Set("application_name", "crowd")
	address.RawQuery = named.Encode()
	db, err := tenants.Open(t.Context(), address.String(), 32, s.Fixture.Sealer)
	require.NoError(t, err)
	owner, err := pgx.Connect(t.Context(), s.Fixture.URL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(context.WithoutCancel(t.Context())) }()
	counted := func(sql string) (n int) {
		require.NoError(t, owner.QueryRow(t.Context(), sql).Scan(&n))
		return n
	}
	const notices, together = 1600, 16
	var all sync.WaitGroup
	for range 2 {
		process := &payments.Service{DB: db, Providers: s.Providers, PublicURL: s.PublicURL, Now: s.Now, Log: s.Log}
		next := make(chan int)
		for range together {
			all.Go(func() {
				for i := range next {
					if _, _, err := process.Take(t.Context(), "till", key, query(fmt.Sprint("order=none&key=", i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			defer close(next)
			for first := 0; first < notices; first += together { // the same ones at the same time, each in an order of its own
				for _, i := range rand.Perm(together) {
					next <- first + i
				}
			}
		})
	}
	all.Wait()
	db.Close() // what its sessions met is counted when they end
	require.Equal(t, []int{notices, 2 * notices}, s.numbers(`SELECT ARRAY[count(*), sum(times)]::int[] FROM notices`))
	require.Eventually(t, func() bool {
		return counted(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd'`) == 0
	}, 5*time.Second, 10*time.Millisecond)
	require.Zero(t, counted(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`), "whoever sorts never waits in a circle")
}

func TestANoticeNamesOrdersOfItsOwnAddressOnly(t *testing.T) {
	s, key := posted(t)
	s.Providers["box"] = s.Till
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "box", map[string]string{"key": "k"}, false))
	in := s.Invoice("1", 15_000_00)
	_, err := s.press(in, "box")
	require.NoError(t, err)
	boxes := s.attempts(in)[0]
	_, outcome, err := s.Take(t.Context(), "till", key, query("order="+boxes.Reference+"&key=one"))
	require.NoError(t, err)
	require.Equal(t, payments.Accepted, outcome)
	require.Equal(t, []int{1, 0}, s.numbers(`SELECT ARRAY[count(*), count(attempt_id)]::int[] FROM notices`))
	require.False(t, s.due(outbox.Check, boxes.ID.String()))
	require.Equal(t, boxes, s.attempts(in)[0])
}

func TestANoticeIsAnsweredBeforeAnybodyIsAsked(t *testing.T) {
	s, key := posted(t)
	a := s.Try(s.Invoice("1", 15_000_00))
	s.Tell(a, tilltest.Took(tilltest.AMD(15_000_00)))
	quiet := &counted{Provider: s.Providers["till"]}
	s.Providers["till"] = quiet
	front := hooks.Handler(s.Service, s.Now, slog.New(slog.DiscardHandler))
	for i, order := range []string{a.Reference, a.Reference, "none"} {
		w := httptest.NewRecorder()
		front.ServeHTTP(w, httptest.NewRequest(http.MethodPost, fmt.Sprintf("/hooks/till/%s?order=%s&key=%d", key, order, i), nil))
		require.Equal(t, http.StatusOK, w.Code)
	}
	require.Zero(t, quiet.looks.Load())
	require.Equal(t, state.AwaitingPayment, s.Read(a.InvoiceID).Status)
	require.True(t, s.due(outbox.Check, a.ID.String()), "it is promised")
	s.learnAgain(a)
	require.EqualValues(t, 1, quiet.looks.Load())
	require.Equal(t, state.Paid, s.Read(a.InvoiceID).Status)
}

// counted counts how often an acquirer is asked.
type counted struct {
	payments.Provider
	looks atomic.Int32
}

func (c *counted) Look(ctx context.Context, conn payments.Connection, o payments.Order) (payments.Observation, error) {
	c.looks.Add(1)
	return c.Provider.Look(ctx, conn, o)
}
