package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// forManagers and forAccountants are the routes that they may use; all others of /api/v1 are the administrators'.
var (
	forManagers = []string{"GET /card", "POST /invoices", "GET /invoices", "GET /invoices/:id", "PATCH /invoices/:id", "POST /invoices/:id/send",
		"POST /invoices/:id/cancel", "POST /invoices/:id/check", "GET /invoices/:id/history", "GET /deals/:deal_id", "GET /exceptions",
		"POST /exceptions/:id/resolve", "POST /decisions/:id/undo", "POST /invoices/:id/replace", "GET /invoices/:id/message", "POST /deals/:deal_id/plan"}
	forAccountants = append([]string{"POST /invoices/:id/receipts", "GET /receipts/missing", "GET /acts", "POST /invoices/:id/payments", "POST /payments/:id/reverse", "GET /exports", "GET /settings", "GET /people",
		"GET /reconciliations", "POST /reconciliations", "GET /reconciliations/:id", "POST /reconciliations/:id/mismatches/:n", "POST /registers",
		"GET /registers/:acquirer/mapping", "PUT /registers/:acquirer/mapping", "POST /periods/:month/lock",
		"GET /mismatches", "GET /registers", "GET /periods", "GET /balances"}, forManagers...)
	forAnybody = []string{"GET /openapi.yaml", "POST /session", "OPTIONS /session"} // the session proves itself
)

func nameOf(r gin.RouteInfo) string { return r.Method + " " + strings.TrimPrefix(r.Path, "/api/v1") }

func TestEveryRouteHasItsGate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	manager, accountant := a.key(tenants.Manager), a.key(tenants.Accountant)
	revoked := a.key(tenants.Admin)
	keys := want[api.KeyPage](s, http.StatusOK, a.api(http.MethodGet, "/api-keys", nil)).Items
	require.Equal(t, http.StatusNoContent, a.api(http.MethodDelete, "/api-keys/"+keys[0].Id, nil).Status)
	nobodies := map[string]*account{"no key": a.with(""), "a key of nobody": a.with("dp_" + tenants.NewToken()), "a revoked key": revoked,
		"a made-up session": a.with("dps_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "a broken session": a.with("dps_%%%"), "a long key": a.with(strings.Repeat("k", 5000))}
	a.quiet()
	before := a.print()
	for _, r := range s.routes() {
		if slices.Contains(forAnybody, nameOf(r)) {
			continue
		}
		for who, nobody := range nobodies {
			got := nobody.visit(r, missingID)
			require.Equal(t, http.StatusUnauthorized, got.Status, "%s with %s", nameOf(r), who)
			require.Equal(t, "unauthorized", got.code())
		}
		for _, one := range []struct {
			as  *account
			may []string
		}{{manager, forManagers}, {accountant, forAccountants}} {
			got := one.as.visit(r, missingID)
			if slices.Contains(one.may, nameOf(r)) {
				require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.Status, nameOf(r))
				continue
			}
			refused(s, http.StatusForbidden, "role", got)
		}
	}
	require.Equal(t, before, a.print())
}

func TestAPersonDecidesWhatTheirRoleAllows(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	in := a.owes("1")
	s.pays(s.press(in), "wrong_amount", 1)
	a.becomes(in, "manual_review")
	e := a.exceptions("1")[0]
	manager := a.key(tenants.Manager)
	for _, decision := range []string{"refund", "write_off"} {
		refused(s, http.StatusForbidden, "role", manager.resolve(e, decision))
	}
	require.Len(t, a.exceptions("1"), 1)
	require.Equal(t, http.StatusOK, manager.resolve(e, "accept").Status)
	undo := func(by *account) answer {
		made := *a.get(in.Id).Decisions
		return by.api(http.MethodPost, "/decisions/"+made[len(made)-1].Id+"/undo", map[string]any{"reason": "Of another deal"})
	}
	refused(s, http.StatusNotFound, "not_found", undo(a.with(a.session("2", crm.Bitrix24, "manager"))))
	require.Equal(t, http.StatusOK, undo(a.with(a.session("1", crm.Bitrix24, "manager"))).Status)
	refused(s, http.StatusConflict, "state", undo(manager))
	a.becomes(in, "manual_review")
	require.Equal(t, http.StatusOK, a.resolve(a.exceptions("1")[0], "write_off").Status)
	refused(s, http.StatusForbidden, "role", undo(manager))
	require.Equal(t, http.StatusOK, undo(a).Status)
	require.Equal(t, http.StatusOK, manager.resolve(a.exceptions("1")[0], "accept").Status)
	require.NotContains(t, manager.get(in.Id).Can, api.InvoiceCanRefund, "what may not be done is not offered")
	require.NotContains(t, manager.get(in.Id).Can, api.InvoiceCanRecord)
}

func TestWhatPersonsSaidAboutMoneyIsListedAndTakenBackByWhoeverMay(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.AmoCRM]
	accountant := a.key(tenants.Accountant)
	list := func(as *account) (kinds []string, items []api.Act) {
		items = want[api.ActPage](s, http.StatusOK, as.api(http.MethodGet, "/acts", nil)).Items
		for _, act := range items {
			kinds = append(kinds, fmt.Sprint(act.Kind, " of ", act.DealId, ", undone ", act.Undone, ", may undo ", act.MayUndo))
		}
		return kinds, items
	}
	wrong := func(deal string) (api.Invoice, api.Exception) {
		in := a.owes(deal)
		s.pays(s.press(in), "wrong_amount", 1)
		a.becomes(in, "manual_review")
		return in, a.exceptions(deal)[0]
	}
	accepted, e := wrong("1")
	require.Equal(t, http.StatusOK, a.resolve(e, "accept").Status)
	_, e = wrong("2")
	require.Equal(t, http.StatusOK, a.resolve(e, "write_off").Status)
	cash := a.owes("3")
	a.receive(cash, owed)
	target := a.owes("5")
	_, e = wrong("4")
	moved := a.api(http.MethodPost, "/exceptions/"+e.Id+"/resolve", map[string]any{"decision": "move", "reason": "Wrong link", "invoice": target.Number})
	require.Equal(t, http.StatusOK, moved.Status, string(moved.Body))

	back := a.paid("6")
	a.givesByHand(back, 300_000)

	kinds, acts := list(a)
	require.Equal(t, []string{"given_back of 6, undone false, may undo true", "move of 4, undone false, may undo true", "payment of 3, undone false, may undo true",
		"write_off of 2, undone false, may undo true", "accept of 1, undone false, may undo true"}, kinds, "the newest first")
	for i, act := range acts {
		require.NotZero(t, act.Amount.Minor, i)
		require.NotEmpty(t, act.Reason)
		require.NotEmpty(t, act.By)
	}
	require.Equal(t, [3]string{"KO-1", "receipt 7", accepted.Number}, [3]string{acts[0].Reference, acts[2].Reference, acts[4].InvoiceNumber})
	kinds, _ = list(accountant)
	require.Equal(t, []string{"given_back of 6, undone false, may undo false", "move of 4, undone false, may undo false", "payment of 3, undone false, may undo true",
		"write_off of 2, undone false, may undo false", "accept of 1, undone false, may undo true"}, kinds)
	require.Empty(t, want[api.ActPage](s, http.StatusOK, s.accounts[crm.Kommo].api(http.MethodGet, "/acts", nil)).Items, "of this tenant only")
	refused(s, http.StatusBadRequest, "cursor_unreadable", a.api(http.MethodGet, "/acts?after=x", nil))

	paths := map[api.ActKind]string{api.ActKindMove: "/moves/%s/undo", api.ActKindGivenBack: "/refunds/%s/undo", api.ActKindPayment: "/payments/%s/reverse", api.ActKindWriteOff: "/decisions/%s/undo", api.ActKindAccept: "/decisions/%s/undo"}
	for _, act := range acts {
		got := a.api(http.MethodPost, fmt.Sprintf(paths[act.Kind], act.Id), map[string]any{"reason": "By mistake"})
		require.Equal(t, http.StatusOK, got.Status, string(got.Body))
	}
	kinds, _ = list(a)
	require.Equal(t, []string{"given_back of 6, undone true, may undo false", "move of 4, undone true, may undo false", "payment of 3, undone true, may undo false",
		"write_off of 2, undone true, may undo false", "accept of 1, undone true, may undo false"}, kinds)
}

func TestAnAdministratorSaysWhatAPersonMayDo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for system, a := range s.accounts {
		refused(s, http.StatusForbidden, "role", a.opens("", system, "manager"))
		people := want[api.PersonPage](s, http.StatusOK, a.api(http.MethodGet, "/people", nil)).Items
		require.Len(t, people, 1, "whoever came is known")
		require.NotEmpty(t, people[0].Name)
		person := "/people/" + people[0].Id
		require.Equal(t, http.StatusOK, a.api(http.MethodPut, person, map[string]string{"role": "accountant"}).Status)
		accountant := a.with(a.session("", system, "manager"))
		view := want[api.SettingsView](s, http.StatusOK, accountant.api(http.MethodGet, "/settings", nil))
		require.Equal(t, api.Role("accountant"), view.Role)
		require.Empty(t, view.Acquirers[0].HookUrl)
		require.Empty(t, view.Acquirers[0].Fields)
		require.Equal(t, http.StatusOK, accountant.api(http.MethodGet, "/reconciliations", nil).Status)
		refused(s, http.StatusForbidden, "role", accountant.api(http.MethodPut, person, map[string]string{"role": "admin"}))
		require.Equal(t, http.StatusOK, a.api(http.MethodPut, person, map[string]string{"role": "admin"}).Status)
		require.Equal(t, http.StatusOK, a.with(a.session("", system, "manager")).api(http.MethodGet, "/people", nil).Status)
		require.Equal(t, http.StatusOK, a.api(http.MethodPut, person, map[string]string{"role": "manager"}).Status)
		refused(s, http.StatusForbidden, "role", a.opens("", system, "manager"))
	}
}

func TestWhoMayNotReadADealMayNotSeeItsPayments(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for system, a := range s.accounts {
		a.create("1")
		a.quiet()
		before := a.print()
		refused(s, http.StatusForbidden, "deal_hidden", a.opens("1", system, "nobody"))
		refused(s, http.StatusForbidden, "deal_hidden", a.opens("999999", system, "manager"))
		refused(s, http.StatusForbidden, "role", a.opens("", system, "manager"))
		require.Equal(t, before, a.print())
	}
}
