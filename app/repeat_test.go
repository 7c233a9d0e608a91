package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

func TestAKeptAnswerIsOnlyForWhoMayReachItsDeal(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		system := crm.System(a.CRM)
		mine, other := a.with(a.session("1", system, "manager")), a.with(a.session("2", system, "manager"))
		amount := `"amount": {"minor": 5000, "currency": "AMD"}`
		in := want[api.Invoice](a.scene, http.StatusCreated, mine.api(post, "/invoices", `{"deal_id": "1", `+amount+`}`, once()...))
		for path, body := range map[string]string{
			"/invoices":                       `{"deal_id": "1", ` + amount + `}`,
			"/deals/1/plan":                   `{` + amount + `, "parts": [{"percent": "50"}, {}]}`,
			"/invoices/" + in.Id + "/replace": `{"purpose": "Again"}`,
		} {
			key := once()
			first := mine.api(post, path, body, key...)
			require.Equal(a, http.StatusCreated, first.Status, "%s: %s", path, first.Body)
			again := mine.api(post, path, body, key...)
			require.Equal(a, "true", again.Header.Get("Idempotent-Replayed"), path)
			require.Equal(a, string(first.Body), string(again.Body), path)
			refused(a.scene, http.StatusNotFound, "not_found", other.api(post, path, body, key...))
		}
	})
}

func TestWhatCreatesSomethingNeedsAKeyAndDoesItOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	in, old, paid := a.owes("1"), a.owes("6"), a.paid("3")
	cash := `{"method": "cash", "amount": {"minor": 100, "currency": "AMD"}, "received_at": "2026-01-02T03:04:05Z", "reference": "r", "reason": "r"}`
	creating := []struct{ path, body, other, counts string }{
		{"/invoices", `{"deal_id": "2"}`, `{"deal_id": "4"}`, `SELECT count(*) FROM invoices`},
		{"/deals/5/plan", `{"parts": [{"percent": "50"}, {}]}`, `{"parts": [{"percent": "40"}, {}]}`, `SELECT count(*) FROM invoices`},
		{"/invoices/" + paid.Id + "/refunds", `{"amount": {"minor": 100, "currency": "AMD"}, "reason": "r"}`, `{"amount": {"minor": 101, "currency": "AMD"}, "reason": "r"}`, `SELECT count(*) FROM refunds`},
		{"/invoices/" + in.Id + "/payments", cash, strings.Replace(cash, "100", "101", 1), `SELECT count(*) FROM facts WHERE kind = 'received'`},
		{"/api-keys", `{"name": "till", "role": "manager"}`, `{"name": "till", "role": "admin"}`, `SELECT count(*) FROM api_keys`},
		{"/invoices/" + old.Id + "/replace", `{"purpose": "Again"}`, `{"purpose": "And again"}`, `SELECT count(*) FROM invoices`},
	}
	for _, c := range creating {
		a.quiet()
		before := a.print()
		for _, key := range [][]string{nil, {"Idempotency-Key", strings.Repeat("k", 201)}} {
			refused(s, http.StatusBadRequest, "idempotency_key_missing", a.api(post, c.path, c.body, key...))
		}
		require.Equal(t, before, a.print(), c.path)
		key, had := once(), a.number(c.counts)
		first := a.api(post, c.path, c.body, key...)
		require.Equal(t, http.StatusCreated, first.Status, "%s: %s", c.path, first.Body)
		made := a.number(c.counts) - had
		require.Positive(t, made, c.path)
		answers := atOnce(5, func(int) string { return string(a.api(post, c.path, c.body, key...).Body) })
		require.Equal(t, []string{string(first.Body)}, answers, c.path)
		require.Equal(t, made, a.number(c.counts)-had, c.path)
		refused(s, http.StatusUnprocessableEntity, "idempotency_key_reused", a.api(post, c.path, c.other, key...))
	}
}

func TestAnAPIKeyIsMadeOnceHoweverManyAskAtOnceAndLiesNowhereInClear(t *testing.T) {
	t.Parallel()
	a := newScene(t).accounts[crm.AmoCRM]
	key := once()
	answers := atOnce(10, func(int) string {
		got := a.api(post, "/api-keys", `{"name": "till", "role": "manager"}`, key...)
		return want[api.NewKey](a.scene, http.StatusCreated, got).Secret
	})
	require.Len(t, answers, 1, "all get the secret of the one key")
	for _, secret := range answers {
		require.Equal(t, http.StatusOK, a.with(secret).api(http.MethodGet, "/invoices", nil).Status)
		for _, table := range held {
			require.NotContains(t, a.text(`SELECT coalesce(string_agg(t::text, ' '), '') FROM `+table+` t`), secret, table)
		}
		require.Zero(t, a.number(`SELECT count(*) FROM idempotency WHERE position($1::bytea in answer) > 0`, []byte(secret)))
	}
	require.Equal(t, 1, a.number(`SELECT count(*) FROM api_keys WHERE name = 'till'`))
}
