package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// trouble is money that needs a person, and what a person may decide about it.
type trouble struct {
	kind  string
	cause func(a *account, deal string) api.Invoice
	paid  int64 // minor units that were taken, in the invoice's currency
	ends  map[string]ending
}

// ending is what an invoice looks like after a decision.
type ending struct {
	status            string
	refunded, missing int64
}

const owed = 2_000_000 // minor units that the troubled invoices ask for

func (a *account) owes(deal string, terms ...map[string]any) api.Invoice {
	a.Helper()
	return a.create(deal, append(terms, map[string]any{"amount": map[string]any{"minor": owed, "currency": "AMD"}})...)
}

func paysWrong(outcome string) func(a *account, deal string) api.Invoice {
	return func(a *account, deal string) api.Invoice {
		in := a.owes(deal)
		a.pays(a.press(in), outcome, 1)
		return in
	}
}

var troubles = []trouble{
	{"wrong_amount", paysWrong("wrong_amount"), owed / 2, map[string]ending{
		"accept": {"awaiting_payment", 0, owed / 2}, "write_off": {"paid", 0, 0}, "refund": {"refunded", owed / 2, 0}}},
	{"wrong_currency", paysWrong("wrong_currency"), 0, map[string]ending{
		"write_off": {"paid", 0, 0}, "refund": {"awaiting_payment", 0, owed}}},
	{"second_payment", func(a *account, deal string) api.Invoice {
		in := a.owes(deal)
		checkout := a.press(in)
		a.receive(in, owed)
		a.pays(checkout, "paid", 1)
		return in
	}, 2 * owed, map[string]ending{"accept": {"paid", 0, 0}, "refund": {"paid", owed, 0}}},
	{"paid_after_cancel", func(a *account, deal string) api.Invoice {
		in := a.owes(deal)
		checkout := a.press(in)
		require.Equal(a, "cancelled", string(a.act(in, "cancel", nil).Status))
		a.pays(checkout, "paid", 1)
		return in
	}, owed, map[string]ending{"accept": {"paid", 0, 0}, "refund": {"refunded", owed, 0}}},
	{"paid_after_expiry", func(a *account, deal string) api.Invoice {
		in := a.owes(deal, map[string]any{"expires_at": a.clock.Now().Add(5 * time.Second)})
		checkout := a.press(in)
		a.becomes(in, "expired")
		a.pays(checkout, "paid", 1)
		return in
	}, owed, map[string]ending{"accept": {"paid", 0, 0}, "refund": {"refunded", owed, 0}}},
}

// receive records money that came outside.
func (a *account) receive(in api.Invoice, minor int64) api.Payment {
	a.Helper()
	return want[api.Payment](a.scene, http.StatusCreated, a.api(http.MethodPost, "/invoices/"+in.Id+"/payments", map[string]any{"method": "cash",
		"amount": map[string]any{"minor": minor, "currency": "AMD"}, "received_at": a.clock.Now(), "reference": "receipt 7", "reason": "Paid at the desk"}, once()...))
}

func (a *account) resolve(e api.Exception, decision string) answer {
	return a.api(http.MethodPost, "/exceptions/"+e.Id+"/resolve", map[string]any{"decision": decision, "reason": "Looked into it", "reference": "case 1"})
}

func TestMoneyThatNeedsAPersonIsAccountedForAndDecided(t *testing.T) {
	t.Parallel()
	var stories []story
	for _, one := range troubles {
		for decision := range one.ends {
			stories = append(stories, story{one.kind + ", " + decision, func(a *account, deal string) { one.play(a, deal, decision) }})
		}
	}
	sideBySide(t, newScene(t), stories)
}

func (x trouble) play(a *account, deal, decision string) {
	in := x.cause(a, deal)
	now := a.becomes(in, "manual_review")
	require.Equal(a, x.paid, now.Paid.Minor, "the money is accounted for")
	a.quiet()
	open := a.exceptions(deal)
	require.Len(a, open, 1)
	e := open[0]
	require.Equal(a, x.kind, e.Kind)
	require.Equal(a, in.Id, *e.InvoiceId)
	for decision := range x.ends {
		require.Contains(a, e.Decisions, decision)
	}
	require.NotEmpty(a, e.WhatToDo)
	card := a.deal(deal)
	require.Equal(a, "manual_review", card.field("status"))
	if x.kind != "second_payment" { // by the first one it was won
		require.NotEqual(a, a.won(), card.Stage)
	}
	tasks, done := card.tasks()
	require.Equal(a, [2]int{1, 0}, [2]int{tasks, done}, "one task")
	require.Contains(a, card.Tasks[0].Text, in.Number)
	refused(a.scene, http.StatusUnprocessableEntity, "decision_not_offered", a.resolve(e, "forget"))

	require.Equal(a, http.StatusOK, a.resolve(e, decision).Status)
	end := x.ends[decision]
	now = a.becomes(in, end.status)
	require.Equal(a, [3]int64{x.paid, end.refunded, end.missing}, [3]int64{now.Paid.Minor, now.Refunded.Minor, now.Outstanding.Minor})
	a.quiet()
	require.Empty(a, a.exceptions(deal))
	tasks, done = a.deal(deal).tasks()
	require.Equal(a, [2]int{0, 1}, [2]int{tasks, done}, "the task closes by itself")
	refused(a.scene, http.StatusConflict, "state", a.resolve(e, decision))
	if decision == "refund" {
		payment := a.books(in)[0]
		require.Equal(a, payment.Captured, payment.Refunded)
	}
}

func TestWhatIsDecidedIsNotDecidedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a, stranger := s.accounts[crm.Bitrix24], s.accounts[crm.Kommo]
	in := a.owes("1")
	s.pays(s.press(in), "wrong_amount", 1)
	a.becomes(in, "manual_review")
	e := a.exceptions("1")[0]
	require.Equal(t, http.StatusOK, a.resolve(e, "accept").Status)
	a.quiet()
	before := a.print()
	for _, decision := range []string{"accept", "refund", "forget"} {
		refused(s, http.StatusConflict, "state", a.resolve(e, decision))
	}
	refused(s, http.StatusConflict, "state", a.with(a.session("1", crm.Bitrix24, "manager")).resolve(e, "accept"))
	missing := api.Exception{Id: missingID}
	nothing := plain(t, stranger.resolve(missing, "accept"))
	for _, got := range []answer{stranger.resolve(e, "accept"), a.resolve(missing, "accept"), a.with(a.session("2", crm.Bitrix24, "admin")).resolve(e, "accept")} {
		require.Equal(t, http.StatusNotFound, got.Status)
		require.Equal(t, nothing, plain(t, got))
	}
	require.Equal(t, before, a.print())
}

func TestMoneyWithoutAnAttemptIsAnOrphan(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	cards := map[*account]api.Invoice{}
	for _, a := range s.accounts {
		in := a.owes("2")
		cards[a] = in
		a.becomes(in, "awaiting_payment")
		stray := s.bank("orphan", map[string]any{"amount_minor": owed, "currency": "AMD", "url": a.hook(), "notices": 0})
		body := notice("stray-"+a.CRM, stray.Ref, in.Number+"-9", "captured")
		for range 3 {
			require.Equal(t, http.StatusOK, a.tell(a.hook(), body).Status)
		}
	}
	s.clock.Advance(61 * time.Second)
	for a, in := range cards {
		a.until("the orphan is noticed", func() bool { return len(a.exceptions("2")) == 1 })
		a.quiet()
		e := a.exceptions("2")[0]
		require.Equal(t, "orphan", e.Kind)
		require.Equal(t, int64(owed), e.Amount.Minor)
		require.Zero(t, a.get(in.Id).Paid.Minor)
		open, done := a.deal("2").tasks()
		require.Equal(t, [2]int{1, 0}, [2]int{open, done})
		require.Equal(t, []string{"move", "refund_outside", "dismiss"}, e.Decisions)
		move := map[string]any{"decision": "move", "reason": "Paid by an old QR", "invoice": "DP-NOBODY"}
		refused(s, http.StatusUnprocessableEntity, "invoice_unknown", a.api(http.MethodPost, "/exceptions/"+e.Id+"/resolve", move))
		move["invoice"] = in.Number
		require.Equal(t, http.StatusOK, a.api(http.MethodPost, "/exceptions/"+e.Id+"/resolve", move).Status)
		paid := a.becomes(in, "paid")
		require.Equal(t, api.EvidenceOperator, *paid.Evidence)
		undo := "/moves/" + (*paid.Moves)[0].Id + "/undo"
		require.Equal(t, http.StatusOK, a.api(http.MethodPost, undo, map[string]any{"reason": "Of another customer"}).Status)
		a.becomes(in, "awaiting_payment")
		refused(s, http.StatusConflict, "state", a.api(http.MethodPost, undo, map[string]any{"reason": "Once more"}))
		require.Equal(t, http.StatusOK, a.resolve(a.exceptions("2")[0], "dismiss").Status)
		a.quiet()
		open, done = a.deal("2").tasks()
		require.Equal(t, [2]int{0, 2}, [2]int{open, done})
		require.Equal(t, -owed, a.number(`SELECT sum(minor)::bigint FROM ledger_entries WHERE tenant_id = $1 AND account = 'unmatched'`, a.ID))
		require.Zero(t, a.number(`SELECT coalesce(sum(minor), 0)::bigint FROM ledger_entries WHERE tenant_id = $1 AND account IN ('transfers', 'receivable')`, a.ID))
	}
}

func TestASecondCheckoutPaidAfterTheFirstIsASecondPayment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts["kommo"]
	in := a.owes("3")
	first := s.press(in)
	s.clock.Advance(20 * time.Minute) // the first page is about to close, so a second one is opened
	second := s.press(in)
	require.NotEqual(t, first, second)
	s.pays(second, "paid", 0)
	require.Equal(t, "paid", string(a.act(in, "check", nil).Status))
	s.pays(first, "paid", 0)
	require.Equal(t, "manual_review", string(a.act(in, "check", nil).Status))
	a.quiet()
	e := a.exceptions("3")
	require.Len(t, e, 1)
	require.Equal(t, "second_payment", e[0].Kind)
	require.Equal(t, http.StatusOK, a.resolve(e[0], "refund").Status)
	now := a.becomes(in, "paid")
	require.Equal(t, [2]int64{2 * owed, owed}, [2]int64{now.Paid.Minor, now.Refunded.Minor})
}

func TestHeldMoneyIsNotPaid(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("1")
		a.becomes(in, "awaiting_payment")
		before := a.deal("1")
		payment := a.pays(a.press(in), "authorized", 1)
		a.until("the attempt is authorized", func() bool { return a.get(in.Id).Attempts[0].Status == "authorized" })
		a.quiet()
		require.Zero(a, a.becomes(in, "awaiting_payment").Paid.Minor)
		require.Equal(a, before, a.deal("1"), "nothing in the CRM says paid")
		require.Contains(a, string(a.send(http.MethodGet, in.Url+"/status", nil).Body), `"checking"`)
		got := a.send(http.MethodPost, in.Url+"/pay", "")
		require.NotContains(a, got.Header.Get("Location"), "vpos", "no second payment while one is held")
		refused(a.scene, http.StatusConflict, "state", a.api(http.MethodPost, "/invoices/"+in.Id+"/cancel", nil))
		a.bank("capture", map[string]any{"ref": payment.Ref})
		a.becomes(in, "paid")
		require.Equal(a, a.won(), a.deal("1").Stage)
	})
}
