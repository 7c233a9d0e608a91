package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// property is one of each thing that has an id, all of them of one tenant.
type property struct {
	invoice         api.Invoice // paid
	deal, exception string
	payment, key    string
	promise         int
	fields          map[string]string // what stands in the place of a route's id, by the folder of the route
}

// own gives the account one of each.
func (a *account) own(deal, troubled string) property {
	a.Helper()
	p := property{invoice: a.paid(deal), deal: deal}
	wrong := a.owes(troubled)
	a.pays(a.press(wrong), "wrong_amount", 1)
	a.becomes(wrong, "manual_review")
	first := a.exceptions(troubled)[0]
	target := a.owes(troubled)
	require.Equal(a, http.StatusOK, a.api(http.MethodPost, "/exceptions/"+first.Id+"/resolve",
		map[string]any{"decision": "move", "reason": "Paid by the wrong link", "invoice": target.Number}).Status)
	move := a.text(`SELECT ref FROM facts WHERE kind = 'moved_in' AND invoice_id = $1`, target.Id)
	settled := a.owes(troubled)
	a.pays(a.press(settled), "wrong_amount", 1)
	a.becomes(settled, "manual_review")
	require.Equal(a, http.StatusOK, a.resolve(a.exceptions(troubled)[0], "accept").Status)
	decision := (*a.get(settled.Id).Decisions)[0].Id
	again := a.owes(troubled)
	a.pays(a.press(again), "wrong_amount", 1)
	a.becomes(again, "manual_review")
	p.exception = a.exceptions(troubled)[0].Id
	refund := a.givesByHand(p.invoice, 500)
	p.payment = a.receive(a.owes(deal), 700).Id
	p.key = want[api.NewKey](a.scene, http.StatusCreated, a.api(http.MethodPost, "/api-keys", map[string]any{"name": "other", "role": "manager"}, once()...)).Key.Id
	run := want[api.Reconciliation](a.scene, http.StatusAccepted, a.api(http.MethodPost, "/reconciliations",
		map[string]any{"day": a.clock.Now().Add(-24 * time.Hour).Format(time.DateOnly), "acquirer": demo.Acquirer})).Id
	const person = "4711"
	require.NoError(a, a.house.db.In(a.Context(), a.id, func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Meet(ctx, tenants.Person{ID: person, Name: "Somebody", SeenAt: a.clock.Now()})
		return err
	}))
	p.promise = a.number(`SELECT max(id) FROM outbox`)
	p.fields = map[string]string{"invoices": p.invoice.Id, "deals": deal, "exceptions": p.exception, "payments": p.payment, "api-keys": p.key, "moves": move, "refunds": refund, "decisions": decision, "reconciliations": run, "people": person}
	return p
}

// routes lists the routes of /api/v1.
func (s *scene) routes() []gin.RouteInfo {
	return slices.DeleteFunc(s.house.routes().Routes(), func(r gin.RouteInfo) bool { return !strings.HasPrefix(r.Path, "/api/v1/") })
}

// named are the folders of routes whose parameter is a name that is the same for everybody.
var named = []string{"acquirers", "registers", "periods"}

// bodies are requests that would be accepted for a thing of one's own.
var bodies = map[string]string{
	"PATCH /api/v1/invoices/:id":                     `{"purpose": "Mine now"}`,
	"POST /api/v1/invoices/:id/send":                 `{"channel": "copy"}`,
	"POST /api/v1/invoices/:id/refunds":              `{"amount": {"minor": 100, "currency": "AMD"}, "reason": "Mine"}`,
	"POST /api/v1/invoices/:id/payments":             `{"method": "cash", "amount": {"minor": 100, "currency": "AMD"}, "received_at": "2026-01-02T03:04:05Z", "reference": "r", "reason": "Mine"}`,
	"POST /api/v1/payments/:id/reverse":              `{"reason": "Mine"}`,
	"POST /api/v1/exceptions/:id/resolve":            `{"decision": "accept", "reason": "Mine"}`,
	"POST /api/v1/invoices/:id/replace":              `{"purpose": "Mine now"}`,
	"POST /api/v1/invoices/:id/receipts":             `{"number": "1", "kind": "final", "state": "issued"}`,
	"POST /api/v1/reconciliations/:id/mismatches/:n": `{"state": "explained", "reason": "Mine"}`,
	"PUT /api/v1/people/:id":                         `{"role": "admin"}`,
	"POST /api/v1/moves/:id/undo":                    `{"reason": "Mine"}`,
	"POST /api/v1/decisions/:id/undo":                `{"reason": "Mine"}`,
	"POST /api/v1/refunds/:id/undo":                  `{"reason": "Mine"}`,
	"POST /api/v1/deals/:deal_id/plan":               `{"parts": [{"percent": "50"}, {}]}`,
}

// visit calls a route with an id in the place of its parameter.
func (a *account) visit(r gin.RouteInfo, id string) answer {
	path := strings.TrimPrefix(r.Path, "/api/v1")
	for _, parameter := range []string{":id", ":deal_id"} {
		path = strings.Replace(path, parameter, id, 1)
	}
	path = strings.Replace(path, ":n", "1", 1)
	var body any
	if text := bodies[r.Method+" "+r.Path]; text != "" {
		body = text
	}
	return a.api(r.Method, path, body, once()...)
}

// plain is a body without what names the request.
func plain(t *testing.T, got answer) map[string]any {
	t.Helper()
	var body map[string]any
	if len(got.Body) > 0 {
		require.NoError(t, json.Unmarshal(got.Body, &body), string(got.Body))
	}
	delete(body, "request_id")
	return body
}

func TestWhatIsAnothersLooksLikeWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	theirs, mine := s.accounts[crm.Bitrix24], s.accounts[crm.AmoCRM]
	var made struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal(s.order(theirs.Account, "add", map[string]any{"fields": map[string]any{"TITLE": "Secret", "OPPORTUNITY": "70000", "CURRENCY_ID": "AMD"}}), &made))
	p := theirs.own(made.ID, "2")
	theirs.quiet()
	before := theirs.print()
	for _, token := range []string{mine.APIKey, mine.session("", crm.AmoCRM, "admin")} {
		me := mine.with(token)
		for _, r := range s.routes() {
			folder := strings.Split(strings.TrimPrefix(r.Path, "/api/v1/"), "/")[0]
			if !strings.Contains(r.Path, ":") || slices.Contains(named, folder) {
				continue
			}
			id, known := p.fields[folder]
			require.True(t, known, "say in this test what stands in %s", r.Path)
			missing := "0199aaaa-0000-7000-8000-000000000000"
			if folder == "deals" {
				missing = "987654"
			}
			theirThing, nothing := me.visit(r, id), me.visit(r, missing)
			require.Equal(t, http.StatusNotFound, nothing.Status, "%s %s: %s", r.Method, r.Path, nothing.Body)
			require.Equal(t, nothing.Status, theirThing.Status, "%s %s: %s", r.Method, r.Path, theirThing.Body)
			require.Equal(t, plain(t, nothing), plain(t, theirThing), "%s %s", r.Method, r.Path)
		}
		for _, list := range []string{"/invoices", "/exceptions", "/api-keys", "/audit", "/mismatches", "/registers", "/periods", "/balances", "/balances?deal_id=" + p.deal, "/balances?invoice_id=" + p.invoice.Id, "/invoices?deal_id=" + p.deal, "/invoices?after=" + missingID} {
			got := me.api(http.MethodGet, list, nil)
			require.Equal(t, http.StatusOK, got.Status)
			for _, id := range []string{p.invoice.Id, p.exception, p.key, p.payment, theirs.ID} {
				require.NotContains(t, string(got.Body), id, list)
			}
		}
		replay := want[api.ReplayResult](s, http.StatusOK, me.api(http.MethodPost, "/replay", map[string]any{"ids": []int{p.promise}}))
		require.Zero(t, replay.Replayed)
		refused(s, http.StatusNotFound, "deal_not_found", me.api(http.MethodPost, "/invoices", map[string]any{"deal_id": p.deal}, once()...))
	}
	mine.quiet()
	require.Equal(t, before, theirs.print(), "nothing of theirs changed")
	key := once() // the same key of two tenants is two keys
	body := map[string]any{"deal_id": "5", "amount": map[string]any{"minor": 100, "currency": "AMD"}}
	one := want[api.Invoice](s, http.StatusCreated, mine.api(http.MethodPost, "/invoices", body, key...))
	two := want[api.Invoice](s, http.StatusCreated, theirs.api(http.MethodPost, "/invoices", body, key...))
	require.NotEqual(t, one.Id, two.Id)
}

const missingID = "ffffffff-ffff-7fff-8fff-ffffffffffff"

func TestANoticeAtMyAddressCannotTouchAnothersPayment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	theirs, mine := s.accounts[crm.Bitrix24], s.accounts[crm.Kommo]
	in := theirs.owes("1")
	payment := s.pays(s.press(in), "paid", 0)
	theirs.quiet()
	before := theirs.print()
	require.Equal(t, http.StatusOK, mine.tell(mine.hook(), notice("evt-x", payment.Ref, payment.Order, "captured")).Status)
	mine.quiet()
	require.Equal(t, before, theirs.print())
	require.Equal(t, "awaiting_payment", string(theirs.get(in.Id).Status))
}

func TestASessionReachesItsOwnDealOnly(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		other, system := a.own("2", "3"), crm.System(a.CRM)
		a.quiet()
		before := a.print()
		for _, who := range []string{"manager", "admin"} {
			me := a.with(a.session("1", system, who))
			require.Equal(a, "1", want[api.Card](a.scene, http.StatusOK, me.api(http.MethodGet, "/card", nil)).Deal.DealId)
			for _, r := range a.routes() {
				folder := strings.Split(strings.TrimPrefix(r.Path, "/api/v1/"), "/")[0]
				if id, ok := other.fields[folder]; ok && strings.Contains(r.Path, ":") && folder != "api-keys" {
					got := me.visit(r, id)
					require.Contains(a, []int{http.StatusNotFound, http.StatusForbidden}, got.Status, "as %s: %s %s", who, r.Method, r.Path)
					require.NotContains(a, string(got.Body), other.invoice.Number)
				}
			}
			refused(a.scene, http.StatusNotFound, "not_found", me.api(http.MethodPost, "/invoices", map[string]any{"deal_id": "2"}, once()...))
			require.Equal(a, http.StatusNotFound, me.api(http.MethodGet, "/invoices?deal_id=2", nil).Status)
			for _, list := range []string{"/invoices", "/exceptions"} {
				require.Contains(a, string(me.api(http.MethodGet, list, nil).Body), `"items":[]`)
			}
		}
		require.Equal(a, before, a.print())
	})
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var sessions []*account
	for system, a := range s.accounts {
		me := a.with(a.session("1", system, "manager"))
		require.Equal(t, http.StatusOK, me.api(http.MethodGet, "/card", nil).Status)
		sessions = append(sessions, me)
	}
	s.clock.Advance(21 * time.Minute)
	for _, me := range sessions {
		refused(s, http.StatusUnauthorized, "unauthorized", me.api(http.MethodGet, "/card", nil))
	}
}

// people are the users of the stand-ins' accounts.
var people = map[crm.System]map[string]string{
	crm.Bitrix24: {"admin": "1", "manager": "2", "nobody": "3"},
	crm.AmoCRM:   {"admin": "7000001", "manager": "7000002", "nobody": "7000003"},
	crm.Kommo:    {"admin": "7000001", "manager": "7000002", "nobody": "7000003"},
}

// opens opens the card of a deal, or with no deal the settings, as somebody does in the CRM.
func (a *account) opens(deal string, system crm.System, who string) answer {
	a.Helper()
	var token struct {
		Access  string `json:"access_token"`
		OneTime string `json:"one_time_token"`
	}
	require.NoError(a, json.Unmarshal(a.order(a.Account, "token", map[string]any{"user": people[system][who]}), &token))
	page := "card"
	if deal == "" {
		page = "settings"
	}
	if system != crm.Bitrix24 {
		return a.send(http.MethodPost, a.app+"/api/v1/session", map[string]any{"deal_id": deal, "page": page}, "X-Auth-Token", token.OneTime)
	}
	return a.send(http.MethodPost, a.app+"/bitrix24/session?"+url.Values{"DOMAIN": {a.host()}, "PROTOCOL": {"1"}, "page": {page}}.Encode(),
		a.opening(token.Access, deal).Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// host is the account's host as the house knows it.
func (a *account) host() string {
	_, port, _ := strings.Cut(strings.TrimPrefix(a.stands, "http://"), ":")
	return a.Account + ".localhost:" + port
}

// opening is the form by which a Bitrix24 portal opens the tab of a deal.
func (a *account) opening(token, deal string) url.Values {
	a.Helper()
	var credentials struct {
		Member string `json:"member_id"`
	}
	require.NoError(a, json.Unmarshal(a.order(a.Account, "credentials", nil), &credentials))
	form := url.Values{"AUTH_ID": {token}, "member_id": {credentials.Member}}
	if deal != "" {
		form.Set("PLACEMENT", "CRM_DEAL_DETAIL_TAB")
		form.Set("PLACEMENT_OPTIONS", `{"ID": "`+deal+`"}`)
	}
	return form
}

// session is the session that an opening gives.
func (a *account) session(deal string, system crm.System, who string) string {
	a.Helper()
	return want[api.Session](a.scene, http.StatusOK, a.opens(deal, system, who)).Session
}
