package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// gate stands before a store and can be shut, which to the house is the same as the store being stopped.
type gate struct {
	t       *testing.T
	address string
	target  string
	mu      sync.Mutex
	door    net.Listener
	inside  map[net.Conn]bool
}

// before puts a gate before the store at *address and replaces the address.
func before(t *testing.T, address *string) *gate {
	u, err := url.Parse(*address)
	require.NoError(t, err)
	g := &gate{t: t, address: "127.0.0.1:0", target: u.Host, inside: map[net.Conn]bool{}}
	g.open()
	t.Cleanup(g.shut)
	u.Host = g.address
	*address = u.String()
	return g
}

func (g *gate) open() {
	door, err := net.Listen("tcp", g.address)
	require.NoError(g.t, err)
	g.mu.Lock()
	g.door, g.address = door, door.Addr().String()
	g.mu.Unlock()
	go func() {
		for {
			one, err := door.Accept()
			if err != nil {
				return
			}
			go g.pass(one)
		}
	}()
}

func (g *gate) pass(one net.Conn) {
	other, err := net.Dial("tcp", g.target)
	if err != nil {
		_ = one.Close()
		return
	}
	g.mu.Lock()
	g.inside[one], g.inside[other] = true, true
	g.mu.Unlock()
	both := sync.OnceFunc(func() {
		g.mu.Lock()
		delete(g.inside, one)
		delete(g.inside, other)
		g.mu.Unlock()
		_, _ = one.Close(), other.Close()
	})
	for _, way := range [][2]net.Conn{{one, other}, {other, one}} {
		go func() {
			defer both()
			_, _ = io.Copy(way[0], way[1])
		}()
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.door.Close()
	for c := range g.inside {
		_ = c.Close()
	}
}

func TestRedisLossLosesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, stop := context.WithCancel(t.Context())
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for ctx.Err() == nil {
			_ = s.house.redis.FlushDB(ctx).Err()
			time.Sleep(30 * time.Millisecond)
		}
	})
	made := map[string]api.Invoice{}
	a := s.accounts[crm.Bitrix24]
	for n := range 6 {
		deal := strconv.Itoa(n + 1)
		made[deal] = a.create(deal)
		s.pays(s.press(made[deal]), "paid", 2)
	}
	stop()
	flushing.Wait()
	for deal, in := range made {
		a.becomes(in, "paid")
		require.Len(t, a.deal(deal).notes(in), 1)
	}
}

func TestWithoutRedisPaymentsGoOnAndTheCRMWaits(t *testing.T) {
	t.Parallel()
	var redis *gate
	s := newScene(t, func(c *config) { redis = before(t, &c.RedisURL) })
	a := s.accounts[crm.Bitrix24]
	old := a.create("1")
	a.becomes(old, "awaiting_payment")
	redis.shut()
	began := time.Now()
	in := a.create("2")
	checkout := s.press(in)
	require.Equal(t, http.StatusOK, s.send(http.MethodGet, in.Url, nil).Status)
	payment := s.pays(checkout, "paid", 0)
	require.Equal(t, http.StatusOK, a.tell(a.hook(), notice("evt-r", payment.Ref, payment.Order, "captured")).Status)
	s.send(http.MethodGet, in.Url+"/back", nil)
	s.until("the customer sees it", func() bool {
		return string(want[api.Invoice](s, http.StatusOK, a.api(http.MethodGet, "/invoices/"+in.Id, nil)).Status) == "paid"
	})
	second := s.pays(s.press(old), "paid", 0)
	require.Equal(t, http.StatusOK, a.tell(a.hook(), notice("evt-s", second.Ref, second.Order, "captured")).Status)
	require.Equal(t, http.StatusOK, s.send(http.MethodGet, s.app+"/readyz", nil).Status)
	require.Equal(t, "waiting", string(a.get(in.Id).Sync.State))
	require.Less(t, time.Since(began), 20*time.Second, "nobody waits long for a Redis that is away")
	redis.open()
	for _, one := range []api.Invoice{in, old} {
		a.becomes(one, "paid")
		require.Len(t, a.deal(one.DealId).notes(one), 1)
	}
}

func TestWithoutPostgresEverybodyIsAskedToComeAgain(t *testing.T) {
	t.Parallel()
	var postgres *gate
	s := newScene(t, func(c *config) { postgres = before(t, &c.DatabaseURL) })
	a := s.accounts[crm.Bitrix24]
	in := a.create("1")
	checkout, hook := s.press(in), a.hook()
	postgres.shut()
	for _, got := range []answer{
		a.api(http.MethodGet, "/invoices/"+in.Id, nil), a.tell(hook, notice("evt-p", "ps_1", in.Number+"-1", "captured")),
		s.send(http.MethodGet, in.Url, nil), s.send(http.MethodGet, s.app+"/readyz", nil), s.send(http.MethodPost, in.Url+"/pay", ""),
	} {
		require.Equal(t, http.StatusServiceUnavailable, got.Status, string(got.Body))
		require.NotEmpty(t, got.Header.Get("Retry-After"))
	}
	s.pays(checkout, "paid", 1)
	time.Sleep(200 * time.Millisecond)
	postgres.open()
	s.order(demo.Acquirer, "clock", map[string]any{"seconds": 6}) // the acquirer tells again
	a.becomes(in, "paid")
}
