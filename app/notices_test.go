package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments/vposam/vposamtest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

var systems = []crm.System{crm.Bitrix24, crm.AmoCRM, crm.Kommo}

// story is what happens to one deal.
type story struct {
	name string
	tell func(a *account, deal string)
}

// sideBySide tells all stories in one scene at once, each on a deal of its own, the CRMs in turn.
func sideBySide(t *testing.T, s *scene, stories []story) {
	for i, one := range stories {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			a := s.accounts[systems[i%len(systems)]].under(t)
			one.tell(a, strconv.Itoa(1+i/len(systems)))
		})
	}
}

// hook is the address of the account's notices.
func (a *account) hook() string {
	a.Helper()
	return want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Acquirers[0].HookUrl
}

// notice is what the acquirer tells of a payment; id makes a repetition recognisable.
func notice(id, ref, order, status string) string {
	raw, _ := json.Marshal(map[string]any{"id": id, "type": "payment_session." + status, "data": map[string]any{"id": ref,
		"merchantOrderId": order, "status": status, "amountMinor": 100, "capturedAmountMinor": 100, "currency": "AMD"}})
	return string(raw)
}

// tell delivers a notice, signed with the secret now.
func (a *account) tell(hook, body string) answer {
	return a.send(http.MethodPost, hook, body, "X-Vpos-Signature", vposamtest.Sign(demo.VposSecret, []byte(body), a.clock.Now()))
}

func TestNoticesOnlyRemindOfWhatTheAcquirerKnows(t *testing.T) {
	t.Parallel()
	sideBySide(t, newScene(t), append(reminders(), orders()...))
}

func reminders() []story {
	return []story{
		{"a redirect without payment changes nothing", func(a *account, deal string) {
			in := a.create(deal)
			a.pays(a.press(in), "abandoned", 0)
			back := a.send(http.MethodGet, in.Url+"/back?status=success&paid=true", nil)
			require.Equal(a, http.StatusSeeOther, back.Status)
			require.Contains(a, string(a.send(http.MethodGet, in.Url+"/status", nil).Body), `"checking"`)
			now := a.becomes(in, "awaiting_payment")
			require.Zero(a, now.Paid.Minor)
			card := a.deal(deal)
			require.Equal(a, "awaiting_payment", card.field("status"))
			require.Empty(a, card.Notes)
		}},
		{"the same notice a hundred times at once has one effect", func(a *account, deal string) {
			in := a.create(deal)
			payment := a.pays(a.press(in), "paid", 0)
			body, hook := notice("evt-1", payment.Ref, payment.Order, "captured"), a.hook()
			var all sync.WaitGroup
			statuses := make([]int, 100)
			for i := range statuses {
				all.Go(func() { statuses[i] = a.tell(hook, body).Status })
			}
			all.Wait()
			for _, status := range statuses {
				require.Equal(a, http.StatusOK, status)
			}
			a.becomes(in, "paid")
			a.quiet()
			require.Len(a, a.deal(deal).Notes, 1)
			require.Equal(a, 1, a.number(`SELECT count(*) FROM facts WHERE invoice_id = $1 AND status = 'paid'`, in.Id))
			require.Equal(a, 100, a.number(`SELECT times FROM notices WHERE key = 'evt-1'`))
		}},
		{"a hundred different notices of one payment have one effect", func(a *account, deal string) {
			in := a.create(deal)
			a.pays(a.press(in), "paid", 100)
			a.becomes(in, "paid")
			a.quiet()
			require.Len(a, a.deal(deal).Notes, 1)
		}},
		{"an old notice after paid changes nothing", func(a *account, deal string) {
			in := a.create(deal)
			payment := a.pays(a.press(in), "paid", 1)
			a.becomes(in, "paid")
			card := a.deal(deal)
			for _, status := range []string{"pending", "failed", "expired", "cancelled", "created"} {
				require.Equal(a, http.StatusOK, a.tell(a.hook(), notice("old-"+status, payment.Ref, payment.Order, status)).Status)
			}
			a.quiet()
			require.Equal(a, "paid", string(a.get(in.Id).Status))
			require.Equal(a, card, a.deal(deal))
		}},
		{"a notice that lies about the money is not believed", func(a *account, deal string) {
			in := a.create(deal)
			payment := a.pays(a.press(in), "abandoned", 0)
			require.Equal(a, http.StatusOK, a.tell(a.hook(), notice("lie", payment.Ref, payment.Order, "captured")).Status)
			a.quiet()
			require.Zero(a, a.becomes(in, "awaiting_payment").Paid.Minor)
		}},
	}
}

// orders are the ways in which a customer, notices and declines may follow each other.
func orders() []story {
	return []story{
		{"a notice may come before the customer does", func(a *account, deal string) {
			in := a.create(deal)
			a.pays(a.press(in), "paid", 1)
			a.becomes(in, "paid")
			require.Equal(a, http.StatusSeeOther, a.send(http.MethodGet, in.Url+"/back", nil).Status)
			require.Contains(a, string(a.send(http.MethodGet, in.Url+"/status", nil).Body), `"paid"`)
			require.Len(a, a.deal(deal).Notes, 1)
		}},
		{"declined, then paid on the same link", func(a *account, deal string) {
			in := a.create(deal)
			a.pays(a.press(in), "declined", 1)
			a.becomes(in, "payment_failed")
			page := a.send(http.MethodGet, in.Url, nil)
			require.Contains(a, string(page.Body), "/pay", "the page offers to pay again")
			a.pays(a.press(in), "paid", 1)
			now := a.becomes(in, "paid")
			require.Len(a, now.Attempts, 2)
			card := a.deal(deal)
			require.Equal(a, "paid", card.field("status"))
			require.Len(a, card.notes(in), 2, "one of the failure, one of the payment")
		}},
		{"reordered and doubled by the acquirer", func(a *account, deal string) {
			in := a.create(deal)
			a.fault(demo.Acquirer, "reorder", 1, 0, "failed")
			a.fault(demo.Acquirer, "duplicate", 1, 0, "captured")
			checkout := a.press(in)
			a.pays(checkout, "declined", 1) // its notice comes a second later
			a.pays(checkout, "paid", 1)
			a.becomes(in, "paid")
			time.Sleep(1200 * time.Millisecond)
			a.quiet()
			require.Equal(a, "paid", string(a.get(in.Id).Status))
		}},
	}
}

func TestAPaymentBeginsOnce(t *testing.T) {
	t.Parallel()
	sideBySide(t, newScene(t), []story{
		{"creating with one key at once makes one invoice", func(a *account, deal string) {
			key := tenants.NewToken()
			create := func(minor int) answer {
				return a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": deal, "amount": map[string]any{"minor": minor, "currency": "AMD"}},
					"Idempotency-Key", key)
			}
			ids := atOnce(10, func(int) string {
				var in api.Invoice
				got := create(5_000)
				_ = json.Unmarshal(got.Body, &in)
				return fmt.Sprint(got.Status, in.Id)
			})
			require.Len(a, ids, 1, "the same answer for all")
			require.Equal(a, 1, a.number(`SELECT count(*) FROM invoices WHERE deal_id = $1`, deal))
			refused(a.scene, http.StatusUnprocessableEntity, "idempotency_key_reused", create(6_000))
		}},
		{"pressing Pay many times opens one session at the acquirer", func(a *account, deal string) {
			in := a.create(deal)
			seen := atOnce(10, func(int) string {
				return a.send(http.MethodPost, in.Url+"/pay", "", "Content-Type", "application/x-www-form-urlencoded").Header.Get("Location")
			})
			require.Len(a, a.books(in), 1)
			require.Contains(a, seen, a.press(in))
			require.Len(a, a.get(in.Id).Attempts, 1)
		}},
		{"the terms are locked once the link was sent", func(a *account, deal string) {
			in := a.create(deal)
			edit := map[string]any{"amount": map[string]any{"minor": 7_700, "currency": "AMD"}, "purpose": "Deposit"}
			edited := want[api.Invoice](a.scene, http.StatusOK, a.api(http.MethodPatch, "/invoices/"+in.Id, edit))
			require.Equal(a, int64(7_700), edited.Outstanding.Minor)
			a.act(in, "send", map[string]any{"channel": "copy"})
			refused(a.scene, http.StatusConflict, "locked", a.api(http.MethodPatch, "/invoices/"+in.Id, edit))
		}},
		{"the terms are locked once somebody pressed Pay", func(a *account, deal string) {
			in := a.create(deal)
			a.press(in)
			refused(a.scene, http.StatusConflict, "locked", a.api(http.MethodPatch, "/invoices/"+in.Id, map[string]any{"purpose": "Other"}))
		}},
	})
}

// It has a scene of its own: the fault would hit whoever pays next.
func TestTheAcquirersLostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Kommo]
	in := a.create("1")
	s.fault(demo.Acquirer, "drop_after_commit", 1, 0, "POST /v1/payment-sessions")
	first := a.send(http.MethodPost, in.Url+"/pay", "")
	require.Equal(t, http.StatusServiceUnavailable, first.Status)
	a.pays(a.press(in), "paid", 1)
	a.becomes(in, "paid")
	require.Len(t, a.books(in), 1)
}

// atOnce runs do n times at once and returns the different results.
func atOnce(n int, do func(i int) string) []string {
	results := make([]string, n)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = do(i) })
	}
	all.Wait()
	seen := map[string]bool{}
	var different []string
	for _, r := range results {
		if !seen[r] {
			seen[r], different = true, append(different, r)
		}
	}
	return different
}

func TestANoticeBeforeOurOwnRowIsKept(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.AmoCRM]
	in := a.create("1")
	a.becomes(in, "awaiting_payment")
	s.stopWork()
	require.Equal(t, http.StatusOK, a.tell(a.hook(), notice("early", "", in.Number+"-1", "captured")).Status)
	require.Zero(t, a.number(`SELECT count(*) FROM attempts`))
	s.pays(s.press(in), "paid", 0)
	s.work()
	a.becomes(in, "paid")
	require.Empty(t, a.exceptions("1"))
}

func TestALostNoticeCostsHalfAMinute(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	made := map[*account]api.Invoice{}
	for _, a := range s.accounts {
		made[a] = a.create("1")
		a.pays(a.press(made[a]), "paid", 0)
	}
	for a, in := range made {
		a.quiet()
		require.Equal(t, "awaiting_payment", string(a.get(in.Id).Status))
	}
	s.clock.Advance(31 * time.Second)
	for a, in := range made {
		a.becomes(in, "paid")
		require.Len(t, a.deal("1").Notes, 1)
	}
}
