package amo_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/amo/amotest"
)

func TestTheStandInsTokensPassTheGuard(t *testing.T) {
	for _, v := range []amo.Variant{amo.AmoCRM, amo.Kommo} {
		s := newStand(t, v)
		account := s.server.Account("acme")
		g := amo.Guard{Variant: v, ClientID: "0b0123f4-d123-4123-9123-e09f123456c0", Secrets: []string{"secret"},
			Audience: "https://pay.example.com", Now: account.Control.Clock.Now,
			AllowHost: func(host string) bool { return v.Owns(strings.TrimSuffix(host, ".localhost")) }}
		for user, admin := range map[int64]bool{amotest.AdminID: v.System == crm.AmoCRM, amotest.ManagerID: false} {
			r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(`{"deal_id": "1", "page": "card"}`))
			r.Header.Set(amo.TokenHeader, account.OneTimeToken(user))
			r.Header.Set("Origin", account.URL())
			got, err := g.Visit(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, crm.Visitor{System: v.System, AccountKey: fmt.Sprint(account.ID), Domain: account.Referer(),
				UserID: fmt.Sprint(user), Admin: admin, DealID: "1"}, got)
		}
		q := url.Values{"client_uuid": {g.ClientID}, "account_id": {fmt.Sprint(account.ID)}, "signature": {account.Signature()}}
		id, err := amo.VerifyDisable(q, g.ClientID, g.Secrets...)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(account.ID), id)
	}
}

func TestInstallLearnsWhoConnected(t *testing.T) {
	s := newStand(t, amo.Kommo)
	account := s.server.Account("acme")
	for user, admin := range map[int64]bool{amotest.AdminID: true, amotest.ManagerID: false} {
		token := account.TokenFor(user)
		site := s.site(t, "acme")
		opened := amo.New(amo.Config{Variant: amo.Kommo, Domain: account.Referer(), HTTP: s.client, Tokens: fixed(token), Pacer: site.Pacer})
		info, err := opened.AccountInfo(t.Context())
		if !admin {
			require.Error(t, err, "only an administrator may list users")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(account.ID), info.ID)
		require.Equal(t, "acme", info.Subdomain)
		require.Equal(t, amotest.Currency, info.Currency)
		require.Equal(t, fmt.Sprint(user), info.UserID)
		require.True(t, info.Admin)
	}
}

type fixed string

func (f fixed) Token(context.Context) (string, error)           { return string(f), nil }
func (f fixed) Refresh(context.Context, string) (string, error) { return string(f), nil }

func TestTheStandInsWebhooksAreRead(t *testing.T) {
	var mu sync.Mutex
	var got []crm.Event
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		events, err := amo.ParseEvents(r)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			got = append(got, events...)
		}
	}))
	t.Cleanup(receiver.Close)
	s := newStand(t, amo.AmoCRM)
	account, site := s.server.Account("acme"), s.site(t, "acme")
	opened := amo.New(amo.Config{Variant: amo.AmoCRM, Domain: account.Referer(), HTTP: s.client, Tokens: site.Tokens, EventsURL: receiver.URL})
	_, err := opened.Setup(t.Context())
	require.NoError(t, err)
	require.NoError(t, account.Move("1", amotest.MainPipeline, amotest.StageInvoice))
	require.NoError(t, account.Delete("2"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, account.Settle(ctx))
	mu.Lock()
	defer mu.Unlock()
	key := fmt.Sprint(account.ID)
	require.Contains(t, got, crm.Event{Kind: crm.DealChanged, AccountKey: key, DealID: "1"})
	require.Contains(t, got, crm.Event{Kind: crm.DealDeleted, AccountKey: key, DealID: "2"})
}

func TestAnswersThatTheDocumentationLeavesOpenAreAllUnderstood(t *testing.T) {
	s := newStand(t, amo.AmoCRM)
	account, site := s.server.Account("acme"), s.site(t, "acme")
	opened := site.Open(nil)
	account.Switch(func(w *amotest.Switches) { w.DeletedGet, w.MinorUnits, w.WebhooksPlan = 404, true, false })
	_, err := opened.Setup(t.Context())
	require.NoError(t, err, "without webhooks in the tariff")
	d, err := opened.Deal(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, account.Deal("1").Amount, d.Amount.Decimal)
	require.NoError(t, account.Delete("1"))
	_, err = opened.Deal(t.Context(), "1")
	require.Equal(t, crm.Gone, crm.ClassOf(err))
	account.Switch(func(w *amotest.Switches) { w.Paid = false })
	got := opened.Apply(t.Context(), []crm.Change{{Deal: "2", State: &crm.State{Status: crm.Paid}}})
	require.Equal(t, crm.Revoked, crm.ClassOf(got[0].Err))
	account.Rename("moved")
	_, err = opened.Deal(t.Context(), "3")
	require.NotEqual(t, crm.Gone, crm.ClassOf(err), "a renamed account has not lost its deals")
}
