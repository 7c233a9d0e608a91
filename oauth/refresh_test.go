package oauth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// worker is what the other process of TestOneRefreshForManyWorkers is told.
type worker struct {
	URL, Keyset, Suffix, App, Tenant string
	Ahead                            time.Duration
	Deals                            int
}

func TestMain(m *testing.M) {
	order := os.Getenv("DEALPAY_OAUTH_WORKER")
	if order == "" {
		os.Exit(m.Run())
	}
	var w worker
	if err := json.Unmarshal([]byte(order), &w); err != nil {
		panic(err)
	}
	if err := w.run(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// run reads deals with many workers at once, when told to begin.
func (w worker) run() error {
	ctx := context.Background()
	sealer, err := tenants.NewSealer(w.Keyset)
	if err != nil {
		return err
	}
	db, err := tenants.Open(ctx, w.URL, 8, sealer)
	if err != nil {
		return err
	}
	defer db.Close()
	id, err := tenants.Restore(w.Tenant)
	if err != nil {
		return err
	}
	clock := &standintest.Clock{}
	clock.Advance(w.Ahead)
	s := oauth.New(config(&testing.T{}, db, w.Suffix, w.App, clock.Now))
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	return together(s, id, w.Deals)
}

// together uses the tenant's token n times at once: asks for it, and once more as if the CRM had refused it.
func together(s *oauth.Service, id tenants.ID, n int) error {
	var all sync.WaitGroup
	failed := make(chan error, n)
	for i := range n {
		all.Go(func() {
			account, _, err := s.Account(context.Background(), id)
			if err == nil {
				_, err = account.Deal(context.Background(), fmt.Sprint(i%20+1))
			}
			if err != nil && crm.ClassOf(err) != crm.Throttled {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func TestOneRefreshForManyWorkersInTwoProcesses(t *testing.T) {
	for name, install := range map[string]func(h *house) (tenants.ID, *standintest.Control){
		"bitrix24": func(h *house) (tenants.ID, *standintest.Control) { p, id := h.portal(); return id, p.Control },
		"amocrm": func(h *house) (tenants.ID, *standintest.Control) {
			a, id := h.account(crm.AmoCRM)
			return id, a.Control
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			id, control := install(h)
			const ahead = 25 * time.Hour
			h.advance(ahead)
			order, err := json.Marshal(worker{h.URL, h.Keyset, h.suffix, h.app, id.String(), ahead, 32})
			require.NoError(t, err)
			other := exec.Command(os.Args[0])
			other.Env = append(os.Environ(), "DEALPAY_OAUTH_WORKER="+string(order))
			out, err := other.StdoutPipe()
			require.NoError(t, err)
			begin, err := other.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, other.Start())
			said := bufio.NewScanner(out)
			require.True(t, said.Scan())
			require.Equal(t, "ready", said.Text())
			require.NoError(t, control.Order(standintest.Fault{Kind: standintest.Slow, MS: 300, Match: "token"}))

			_, err = begin.Write([]byte("\n"))
			require.NoError(t, err)
			require.NoError(t, together(h.oauth, id, 32))
			require.True(t, said.Scan())
			require.Equal(t, "done", said.Text())
			require.NoError(t, other.Wait())
			require.Equal(t, 1, refreshes(control))
			require.Equal(t, tenants.Active, h.me(id).Status)
		})
	}
}

func TestACrashWhileRenewingOnlyCostsTheLease(t *testing.T) {
	h := newHouse(t)
	a, id := h.account(crm.Kommo)
	h.advance(25 * time.Hour)
	lease := func(until string) {
		require.NoError(t, h.DB.In(t.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE crm_tokens SET lease_owner = gen_random_uuid(), lease_until = clock_timestamp() + $1::interval`, until)
			return err
		}))
	}
	lease("1 hour")
	account, _, err := h.oauth.Account(t.Context(), id)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = account.Deal(ctx, "1")
	require.Equal(t, crm.Transient, crm.ClassOf(err), "somebody else seems to be at it")
	require.Zero(t, refreshes(a.Control))
	lease("-1 second")
	h.reads(id, "1")
	require.Equal(t, 1, refreshes(a.Control))
}

func TestARenewalWhoseAnswerIsLostEndsInReconnecting(t *testing.T) {
	for name, install := range map[string]func(h *house) (id tenants.ID, control *standintest.Control, again func()){
		"bitrix24": func(h *house) (tenants.ID, *standintest.Control, func()) {
			p, id := h.portal()
			return id, p.Control, func() {
				opening, err := p.AppForm("1")
				require.NoError(h, err)
				_, _, err = h.oauth.Visit(h.Context(), crm.Bitrix24, request(opening))
				require.NoError(h, err)
			}
		},
		"amocrm": func(h *house) (tenants.ID, *standintest.Control, func()) { // refuses a refresh token after its first use
			a, id := h.account(crm.AmoCRM)
			return id, a.Control, func() { require.NoError(h, a.Connect(h.Context(), h.client, amotest.AdminID)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			id, control, again := install(h)
			h.advance(25 * time.Hour)
			require.NoError(t, control.Order(standintest.Fault{Kind: standintest.DropAfterCommit, Match: "token"}))
			read := func() crm.Class {
				account, _, err := h.oauth.Account(t.Context(), id)
				if err == nil {
					_, err = account.Deal(t.Context(), "1")
				}
				require.Error(t, err)
				return crm.ClassOf(err)
			}
			require.Equal(t, crm.Transient, read(), "nobody knows yet that the pair was spent")
			require.Equal(t, tenants.Active, h.me(id).Status)
			require.Equal(t, crm.Revoked, read())
			require.Equal(t, tenants.Revoked, h.me(id).Status)
			asked := refreshes(control)
			for range 3 {
				require.Equal(t, crm.Revoked, read())
			}
			require.Equal(t, asked, refreshes(control), "a dead pair is not tried in a loop")
			health, err := h.oauth.Health(t.Context(), id)
			require.NoError(t, err)
			require.NotEmpty(t, health.Why)
			again()
			h.reads(id, "1")
		})
	}
}

func TestAReinstallationBeatsADyingRefresh(t *testing.T) {
	h := newHouse(t)
	a, id := h.account(crm.AmoCRM)
	h.advance(25 * time.Hour)
	require.NoError(t, a.Control.Order(standintest.Fault{Kind: standintest.Slow, MS: 700, Match: "access_token"}))
	done := make(chan error)
	go func() { done <- together(h.oauth, id, 4) }()
	require.Eventually(t, func() bool { return leased(h, id) }, 5*time.Second, time.Millisecond)
	a.RevokeTokens()
	require.NoError(t, a.Install(t.Context(), h.client))
	require.NoError(t, <-done, "the refresh was refused, the new pair serves")
	require.Equal(t, tenants.Active, h.me(id).Status)
}

func leased(h *house, id tenants.ID) (held bool) {
	require.NoError(h, h.DB.In(h.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT lease_owner IS NOT NULL FROM crm_tokens`).Scan(&held)
	}))
	return held
}
