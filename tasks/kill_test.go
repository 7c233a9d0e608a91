package tasks_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

// orders is what a worker process of these tests is started with.
type orders struct {
	Database, Redis, Keyset string
	System                  crm.System
	Portal, Address, Token  string
	Member                  string
	Layout                  json.RawMessage
}

const ordersVariable = "DEALPAY_TEST_WORKER"

// TestMain is also the worker process: the same program, started with orders.
func TestMain(m *testing.M) {
	if raw := os.Getenv(ordersVariable); raw != "" {
		if err := obey([]byte(raw)); err != nil {
			slog.Error("worker", "err", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// portal connects every tenant to one portal of the stand-in.
type portal struct {
	db      *tenants.DB
	account crm.Account
}

func (p portal) Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error) {
	var tenant tenants.Tenant
	err := p.db.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		tenant, err = tx.Me(ctx)
		return err
	})
	return p.account, tenant, err
}

func (portal) Setup(context.Context, tenants.ID) error { return nil }
func (portal) Leave(context.Context, tenants.ID) error { return nil }

// fixed is an access token that never runs out.
type fixed string

func (f fixed) Token(context.Context) (string, error)           { return string(f), nil }
func (f fixed) Refresh(context.Context, string) (string, error) { return string(f), nil }

// setter is an account that can be set up.
type setter interface {
	crm.Account
	Setup(ctx context.Context) (crm.Layout, error)
}

func (o orders) open(pacer crm.Pacer) setter {
	client := bitrix24test.Client(o.Address)
	client.Timeout = 30 * time.Second
	if o.System == crm.Kommo {
		return amo.New(amo.Config{Variant: amo.Kommo, Domain: o.Portal, HTTP: client, Tokens: fixed(o.Token), Layout: o.Layout, Lang: "en", Pacer: pacer})
	}
	return bitrix24.New(bitrix24.Config{Endpoint: o.Portal, HTTP: client, Tokens: fixed(o.Token), Layout: o.Layout, Lang: "en", Pacer: pacer,
		Handlers: bitrix24.Handlers{Card: "https://pay.example/bitrix24/card", Events: "https://pay.example/bitrix24/events"}})
}

// obey works until it is killed.
func obey(raw []byte) error {
	var o orders
	if err := json.Unmarshal(raw, &o); err != nil {
		return err
	}
	sealer, err := tenants.NewSealer(o.Keyset)
	if err != nil {
		return err
	}
	ctx, log := context.Background(), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	db, err := tenants.Open(ctx, o.Database, 8, sealer)
	if err != nil {
		return err
	}
	queue, err := tasks.NewQueue(o.Redis, time.Now, log)
	if err != nil {
		return err
	}
	db.Wake, queue.System = queue.Wake, db.SystemOf
	options, err := redis.ParseURL(o.Redis)
	if err != nil {
		return err
	}
	options.ContextTimeoutEnabled = true
	limiter := tasks.NewLimiter(redis.NewClient(options), tasks.LimiterOptions{})
	if err := limiter.Warm(ctx); err != nil {
		return err
	}
	pacer := limiter.For(tasks.Account{System: o.System, Key: o.Member})
	worker := &tasks.Worker{DB: db, Accounts: portal{db, o.open(pacer)}, Remind: queue.Send, Now: time.Now, Log: log,
		Payments: &payments.Service{DB: db, PublicURL: "https://pay.example", Now: time.Now, Log: log}}
	return queue.Serve(ctx, worker, 8)
}

// crew is worker processes on one portal.
type crew struct {
	*house
	server *bitrix24test.Server
	portal *bitrix24test.Portal
	orders string

	arrived atomic.Int64 // requests, also those without an answer yet
	mu      sync.Mutex
	alive   []*exec.Cmd
}

func newCrew(t *testing.T) *crew {
	c := &crew{house: newHouse(t), server: bitrix24test.New(bitrix24test.Config{ClientID: "app.1", ClientSecret: "secret", AppURL: "http://127.0.0.1:1"})}
	c.clock.Store(time.Now().UnixNano())
	web := httptest.NewServer(c.server)
	c.portal = c.server.Portal("acme.bitrix24.com")
	c.portal.InstallForm()
	c.portal.FinishInstall()
	o := orders{System: crm.Bitrix24, Database: c.f.URL, Redis: tenantstest.Redis(t), Keyset: c.f.Keyset, Portal: "https://acme.bitrix24.com/rest/",
		Address: strings.TrimPrefix(web.URL, "http://"), Token: c.portal.TokenFor("1").Access, Member: c.portal.MemberID()}
	layout, err := o.open(nil).Setup(t.Context())
	require.NoError(t, err)
	o.Layout = layout
	label := c.portal.Control.Label
	c.portal.Control.Label = func(r *http.Request, body []byte) string {
		c.arrived.Add(1)
		return label(r, body)
	}
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	c.orders = string(raw)
	t.Cleanup(func() {
		c.kill()
		web.Close()
		c.server.Close()
	})
	return c
}

func (c *crew) start(n int) {
	c.Helper()
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), ordersVariable+"="+c.orders)
		cmd.Stderr = os.Stderr
		require.NoError(c, cmd.Start())
		c.mu.Lock()
		c.alive = append(c.alive, cmd)
		c.mu.Unlock()
	}
}

// kill ends all workers with SIGKILL.
func (c *crew) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range c.alive {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	c.alive = nil
}

// killFirst ends the worker that was started first with SIGKILL.
func (c *crew) killFirst() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.alive[0].Process.Kill()
	_ = c.alive[0].Wait()
	c.alive = c.alive[1:]
}

// until waits for what others do.
func (c *crew) until(within time.Duration, what string, ok func() bool) time.Duration {
	c.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > within {
			c.Fatalf("%s: not within %s", what, within)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

func (c *crew) requests() int { return len(c.portal.Control.Requests()) }

// notes counts a deal's notes in the portal.
func (c *crew) notes(deal string) int {
	c.Helper()
	state, ok := c.portal.Deal(deal)
	require.True(c, ok)
	return len(state.Notes)
}

// One worker holds a request open and is killed, at any phase of its lease; another one, idle until then, finds the work
// and does it, once.
func TestAKilledWorkersWorkIsResumedByAnotherWithinFiveSeconds(t *testing.T) {
	before := standintest.Fault{Kind: standintest.Slow, MS: 20_000, Match: "batch"}
	after := standintest.Fault{Kind: standintest.DropAfterCommit, Match: "batch"}
	late := standintest.Fault{Kind: standintest.Late, MS: 3800, Match: "batch"}
	for _, one := range []struct {
		name  string
		fault standintest.Fault
		phase time.Duration // from the call to the death
	}{
		{"before the CRM did it", before, 0}, {"later", before, 700 * time.Millisecond}, {"later still", before, 1400 * time.Millisecond},
		{"when the lease was renewed twice", before, 2200 * time.Millisecond}, {"after the CRM did it", after, 0},
		{"before the CRM did it, which goes on", late, 0},
	} {
		t.Run(one.name, func(t *testing.T) {
			c := newCrew(t)
			c.pay("1", "1", "2")
			seen := c.requests()
			require.NoError(t, c.portal.Control.Order(one.fault))
			c.start(1)
			if one.fault.Kind != standintest.DropAfterCommit {
				c.until(20*time.Second, "the call", func() bool { return c.arrived.Load() > 0 })
				c.start(1)
				c.until(20*time.Second, "the other is there", func() bool { return c.servers() == 2 })
			} else {
				c.until(20*time.Second, "the cut", func() bool { return c.requests() > seen })
				c.start(1)
			}
			time.Sleep(one.phase)
			c.killFirst()
			took := c.until(15*time.Second, "resumed", func() bool { return c.sync("1").State == "written" && c.sync("2").State == "written" })
			t.Logf("resumed after %s", took.Round(time.Millisecond))
			require.Less(t, took, 5*time.Second)
			require.Equal(t, []int{2, 1}, []int{c.notes("1"), c.notes("2")})
		})
	}
}

// A worker stands still between its promise and its call, for longer than its lease. It does not make the call that another
// one has made meanwhile.
func TestAWorkerThatStoodStillBeforeItsCallDoesNotMakeIt(t *testing.T) {
	c := newCrew(t)
	c.pay("1", "2")
	var o orders
	require.NoError(t, json.Unmarshal([]byte(c.orders), &o))
	options, err := redis.ParseURL(o.Redis)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	account := o.open(tasks.NewLimiter(client, tasks.LimiterOptions{}).For(tasks.Account{System: crm.Bitrix24, Key: o.Member}))
	var still atomic.Bool
	worker := func(fault func(point string)) *tasks.Worker {
		w := c.worker()
		w.Accounts, w.Fault = portal{c.f.DB, account}, fault
		return w
	}
	require.NoError(t, worker(func(point string) {
		if point != "before call" || still.Swap(true) {
			return
		}
		c.later(10 * time.Second)
		other := worker(nil)
		require.NoError(t, other.Lane(context.WithoutCancel(t.Context()), c.id))
		require.Equal(t, []int{1, 1}, []int{c.notes("1"), c.notes("2")})
	}).Lane(t.Context(), c.id))
	require.True(t, still.Load())
	require.Equal(t, []int{1, 1}, []int{c.notes("1"), c.notes("2")})
	require.NoError(t, worker(nil).Lane(t.Context(), c.id))
	require.Equal(t, []int{1, 1, 0}, []int{c.notes("1"), c.notes("2"), c.open()})
}

// servers is how many workers take reminders.
func (c *crew) servers() (n int) {
	c.Helper()
	var o orders
	require.NoError(c, json.Unmarshal([]byte(c.orders), &o))
	options, err := asynq.ParseRedisURI(o.Redis)
	require.NoError(c, err)
	inspector := asynq.NewInspector(options)
	defer func() { _ = inspector.Close() }()
	servers, err := inspector.Servers()
	require.NoError(c, err)
	for _, s := range servers {
		n += s.Queues["checks"]
	}
	return n
}

// Three processes share a portal and the limits of its plan: none of them is ever refused.
func TestThreeWorkersShareOneAccountWithoutARefusal(t *testing.T) {
	c := newCrew(t)
	c.start(3)
	for range 4 {
		c.pay(deals(20)...)
	}
	c.until(20*time.Second, "drained", func() bool { return c.open() == 0 })
	limits := c.portal.Control.Limits.Snapshot()
	require.Zero(t, limits.Rejected)
	for _, deal := range deals(20) {
		require.Equal(t, 4, c.notes(deal))
	}
}

// Three processes drain more than one account may do in seconds, and Redis is lost in the middle: the limiter's count is gone,
// and Kommo, which counts to seven and refuses the eighth, refuses nothing.
func TestThreeWorkersDrainAtTheLimitWithoutARefusal(t *testing.T) {
	const n = 500
	c := &crew{house: newHouse(t)}
	c.clock.Store(time.Now().UnixNano())
	server := amotest.New(amotest.Config{Variant: amotest.Kommo, ClientID: "0b0123f4-d123-4123-9123-e09f123456c0", ClientSecret: "secret",
		AppURL: "https://pay.example.com", PublicSuffix: ".localhost", Accounts: []string{"acme"}, Leads: n})
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		c.kill()
		web.Close()
		server.Close()
	})
	account := server.Account("acme")
	o := orders{System: crm.Kommo, Database: c.f.URL, Redis: tenantstest.Redis(t), Keyset: c.f.Keyset, Portal: account.Referer(),
		Address: strings.TrimPrefix(web.URL, "http://"), Token: account.TokenFor(amotest.AdminID), Member: strconv.FormatInt(account.ID, 10)}
	account.Control.Clock.Advance(time.Minute)
	layout, err := o.open(nil).Setup(t.Context())
	require.NoError(t, err)
	o.Layout = layout
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	c.orders = string(raw)
	options, err := redis.ParseURL(o.Redis)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()

	c.in(func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO invoices (tenant_id, id, number, deal_id, minor, currency, purpose, status, paid, outstanding, paid_at, expires_at, created_by)
			SELECT $1, gen_random_uuid(), 'N-' || deal, deal, 100000, 'AMD', 'Deal', 'paid', 100000, 0, $3, $3::timestamptz + interval '3 days', 'user:1'
			FROM generate_series(1, $2::int) AS d(deal)`, c.id.String(), n, c.now())
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO effects (tenant_id, key, deal_id, kind, reference, body) SELECT $1, 'note:' || deal, deal, 'note', 'DPN-' || deal,
				'{"what": "paid", "minor": 100000, "currency": "AMD"}' FROM generate_series(1, $2::int) AS d(deal)`, c.id.String(), n)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT $1, 'push', deal, $3 FROM generate_series(1, $2::int) AS d(deal)`,
				c.id.String(), n, c.now())
		}
		return err
	})
	before := account.Control.Limits.Snapshot()
	require.Zero(t, before.Rejected)
	c.start(3)
	c.until(30*time.Second, "under way", func() bool { return account.Control.Limits.Snapshot().Accepted-before.Accepted >= 5 })
	require.NoError(t, client.FlushDB(t.Context()).Err())
	took := c.until(60*time.Second, "drained", func() bool { return c.open() == 0 })
	t.Logf("drained %s after the loss", took.Round(time.Millisecond))
	after := account.Control.Limits.Snapshot()
	require.Zero(t, after.Rejected)
	require.GreaterOrEqual(t, after.Accepted-before.Accepted, 2*n/50)
	for deal := 1; deal <= n; deal++ {
		require.Len(t, account.Deal(strconv.Itoa(deal)).Notes, 1, deal)
	}
}

// The reminders are gone, the limiter's count as well; the promises are not.
func TestRedisFlushedMidDrainLosesNothing(t *testing.T) {
	c := newCrew(t)
	c.start(2)
	var o orders
	require.NoError(t, json.Unmarshal([]byte(c.orders), &o))
	options, err := redis.ParseURL(o.Redis)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	for range 3 {
		c.pay(deals(20)...)
		require.NoError(t, client.FlushDB(t.Context()).Err())
	}
	took := c.until(20*time.Second, "drained", func() bool { return c.open() == 0 })
	t.Logf("drained %s after the last loss", took.Round(time.Millisecond))
	require.Zero(t, c.portal.Control.Limits.Snapshot().Rejected)
	for _, deal := range deals(20) {
		require.Equal(t, 3, c.notes(deal))
	}
}
