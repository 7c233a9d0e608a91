package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// paid is an invoice that was paid through the acquirer.
func (a *account) paid(deal string) api.Invoice {
	a.Helper()
	in := a.owes(deal)
	a.pays(a.press(in), "paid", 1)
	return a.becomes(in, "paid")
}

func TestMoneyGoesBackOnce(t *testing.T) {
	t.Parallel()
	sideBySide(t, newScene(t), append(refundStories(), unclearRefunds()...))
}

// went requires how much went back, by our own word, the CRM's and the acquirer's.
// givesByHand records that a part of a payment went back in cash, as its acquirer has refused to give it back, and returns the
// refund's id.
func (a *account) givesByHand(in api.Invoice, minor int64) string {
	a.Helper()
	a.text(`INSERT INTO refunds (tenant_id, id, invoice_id, attempt_id, minor, currency, reason, asked_by, status, sent_at)
		SELECT tenant_id, gen_random_uuid(), invoice_id, id, 1, currency, 'The card is closed', 'user:1', 'refused', now() FROM attempts
		WHERE invoice_id = $1 RETURNING id::text`, in.Id)
	body := map[string]any{"amount": map[string]any{"minor": minor, "currency": "AMD"}, "reason": "The card is closed", "method": "cash", "reference": "KO-1"}
	after := want[api.Invoice](a.scene, http.StatusCreated, a.api(http.MethodPost, "/invoices/"+in.Id+"/refunds", body, once()...))
	return (*after.Refunds)[len(*after.Refunds)-1].Id
}

func (a *account) went(in api.Invoice, status string, minor int64) {
	a.Helper()
	now := a.becomes(in, status)
	require.Equal(a, [2]int64{owed, minor}, [2]int64{now.Paid.Minor, now.Refunded.Minor}, "what was paid stays")
	card := a.deal(in.DealId)
	back := fmt.Sprintf("%d.%02d", minor/100, minor%100)
	require.Equal(a, []string{status, "20000.00", back}, []string{card.field("status"), card.field("paid"), card.field("refunded")})
	require.NotEmpty(a, card.field("refunded_at"))
	require.NotEmpty(a, card.field("paid_at"))
	require.Equal(a, minor, a.books(in)[0].Refunded)
}

func refundStories() []story {
	return []story{
		{"in part, then the rest", func(a *account, deal string) {
			in := a.paid(deal)
			want[api.Invoice](a.scene, http.StatusCreated, a.refund(in, 500_000))
			a.went(in, "partially_refunded", 500_000)
			a.quiet() // the deal says so a moment before the refund has ended; until then the next one waits
			refused(a.scene, http.StatusUnprocessableEntity, "refund_too_large", a.refund(in, owed))
			want[api.Invoice](a.scene, http.StatusCreated, a.refund(in, owed-500_000))
			a.went(in, "refunded", owed)
			a.quiet()
			require.Len(a, a.deal(deal).notes(in), 3, "paid, and one for each refund")
			refused(a.scene, http.StatusConflict, "state", a.refund(in, 1))
		}},
		{"the same request at once is one refund", func(a *account, deal string) {
			in := a.paid(deal)
			key := tenants.NewToken()
			body := map[string]any{"amount": map[string]any{"minor": 300_000, "currency": "AMD"}, "reason": "Damaged"}
			atOnce(10, func(int) string {
				return fmt.Sprint(a.api(http.MethodPost, "/invoices/"+in.Id+"/refunds", body, "Idempotency-Key", key).Status)
			})
			a.went(in, "partially_refunded", 300_000)
			body["reason"] = "Another"
			refused(a.scene, http.StatusUnprocessableEntity, "idempotency_key_reused",
				a.api(http.MethodPost, "/invoices/"+in.Id+"/refunds", body, "Idempotency-Key", key))
		}},
		{"two refunds at once never exceed what was paid", func(a *account, deal string) {
			in := a.paid(deal)
			atOnce(6, func(int) string { return fmt.Sprint(a.refund(in, owed*2/3).Status) })
			a.went(in, "partially_refunded", owed*2/3)
			a.quiet()
			require.Equal(a, int64(owed*2/3), a.books(in)[0].Refunded)
		}},
		{"in the bank's console, seen when somebody checks", func(a *account, deal string) {
			in := a.paid(deal)
			a.bank("refund", map[string]any{"ref": in.ProviderRef, "amount_minor": 400_000, "notices": 0})
			require.Equal(a, "partially_refunded", string(a.act(in, "check", nil).Status))
			a.went(in, "partially_refunded", 400_000)
			a.bank("refund", map[string]any{"ref": in.ProviderRef, "amount_minor": 0, "notices": 1})
			a.went(in, "refunded", owed)
			a.quiet()
			require.Len(a, a.deal(deal).notes(in), 3)
		}},
		{"a dispute is shown until it is won", func(a *account, deal string) {
			in := a.paid(deal)
			a.bank("dispute", map[string]any{"ref": in.ProviderRef})
			a.becomes(in, "disputed")
			require.Equal(a, "disputed", a.deal(deal).field("status"))
			a.bank("dispute", map[string]any{"ref": in.ProviderRef, "status": "won"})
			a.becomes(in, "paid")
		}},
		{"by hand, and its undoing", func(a *account, deal string) {
			in := a.paid(deal)
			undo := "/refunds/" + a.givesByHand(in, 300_000) + "/undo"
			require.Equal(a, int64(300_000), a.becomes(in, "partially_refunded").Refunded.Minor)
			refused(a.scene, http.StatusForbidden, "role", a.key(tenants.Accountant).api(http.MethodPost, undo, map[string]any{"reason": "Of another deal"}))
			after := want[api.Invoice](a.scene, http.StatusOK, a.api(http.MethodPost, undo, map[string]any{"reason": "Of another deal"}))
			require.Equal(a, "undone", (*after.Refunds)[1].Status)
			a.becomes(in, "paid")
			require.Equal(a, int64(0), a.get(in.Id).Refunded.Minor)
			refused(a.scene, http.StatusConflict, "state", a.api(http.MethodPost, undo, map[string]any{"reason": "Once more"}))
			a.quiet()
			require.Len(a, a.deal(deal).notes(in), 3, "paid, given back by hand, taken back")
		}},
		{"money from outside, and its undoing", func(a *account, deal string) {
			in := a.owes(deal)
			part := a.receive(in, 800_000)
			require.Equal(a, int64(owed-800_000), part.Invoice.Outstanding.Minor)
			require.Contains(a, string(a.send(http.MethodGet, in.Url, nil).Body), "12,000", "the page asks for the rest")
			rest := a.receive(in, owed-800_000)
			a.becomes(in, "paid")
			require.Equal(a, "20000.00", a.deal(deal).field("paid"))
			undone := want[api.Payment](a.scene, http.StatusOK, a.api(http.MethodPost, "/payments/"+rest.Id+"/reverse", map[string]any{"reason": "Entered twice"}))
			require.Equal(a, int64(owed-800_000), undone.Invoice.Outstanding.Minor)
			now := a.becomes(in, "awaiting_payment")
			require.Equal(a, []bool{false, true}, []bool{now.Payments[0].Reversed, now.Payments[1].Reversed})
			require.Equal(a, "8000.00", a.deal(deal).field("paid"))
			again := a.api(http.MethodPost, "/payments/"+rest.Id+"/reverse", map[string]any{"reason": "Once more"})
			require.Equal(a, http.StatusConflict, again.Status)
			require.Equal(a, int64(800_000), a.get(in.Id).Paid.Minor)
			a.pays(a.press(in), "paid", 1)
			a.becomes(in, "paid")
		}},
	}
}

func unclearRefunds() []story {
	return []story{
		{"the acquirer's answer was lost", func(a *account, deal string) {
			in := a.paid(deal)
			a.fault(demo.Acquirer, "drop_after_commit", 3, 0, "POST /v1/payment-sessions/"+in.ProviderRef+"/refunds")
			want[api.Invoice](a.scene, http.StatusCreated, a.refund(in, 600_000))
			a.went(in, "partially_refunded", 600_000)
			a.quiet()
			require.Empty(a, a.exceptions(deal))
		}},
		{"the acquirer refuses", func(a *account, deal string) {
			in := a.paid(deal)
			a.bank("refund", map[string]any{"ref": in.ProviderRef, "amount_minor": owed - 1, "notices": 0}) // we don't know yet
			want[api.Invoice](a.scene, http.StatusCreated, a.refund(in, 600_000))
			a.until("the refund is refused", func() bool {
				return a.number(`SELECT count(*) FROM refunds WHERE invoice_id = $1 AND status = 'refused'`, in.Id) == 1
			})
			require.Equal(a, int64(owed-1), a.books(in)[0].Refunded)
			a.act(in, "check", nil)
			a.went(in, "partially_refunded", owed-1)
		}},
	}
}

func TestARefundThatNobodyKnowsOfIsAskedOfAPerson(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts["bitrix24"]
	in := a.paid("1")
	s.fault(demo.Acquirer, "down", 20, 0, "POST /v1/payment-sessions/"+in.ProviderRef+"/refunds")
	want[api.Invoice](s, http.StatusCreated, a.refund(in, 700_000))
	s.until("the refund was sent", func() bool { return a.number(`SELECT count(*) FROM refunds WHERE status = 'sending'`) == 1 })
	refused(s, http.StatusConflict, "state", a.refund(in, 100_000))
	s.clock.Advance(16 * time.Minute)
	s.until("a person is asked", func() bool { return len(a.exceptions("1")) == 1 })
	a.quiet()
	e := a.exceptions("1")[0]
	require.Equal(t, "refund_unknown", e.Kind)
	require.Equal(t, []string{"refunded", "not_refunded"}, e.Decisions)
	open, _ := a.deal("1").tasks()
	require.Equal(t, 1, open)
	require.Zero(t, s.books(in)[0].Refunded, "it is never sent again by itself")
	require.Equal(t, http.StatusOK, a.resolve(e, "not_refunded").Status)
	a.quiet()
	_, done := a.deal("1").tasks()
	require.Equal(t, 1, done)
}
