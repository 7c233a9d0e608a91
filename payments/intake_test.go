package payments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/hooks"
	"github.com/dealpay/dealpay/payments/idram"
	"github.com/dealpay/dealpay/payments/idram/idramtest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// wallet is a shop that takes Idram, whose double asks and tells over HTTP and acts on our answers.
type wallet struct {
	*shop
	double *idramtest.Server
	page   string // base URL of the double
	hook   string // our notice address
	conn   uuid.UUID
}

func newWallet(t *testing.T) *wallet {
	w := &wallet{shop: newShop(t), double: idramtest.New(idramtest.Config{Account: "100000114", Secret: "test-secret-key"})}
	bank := httptest.NewServer(w.double)
	t.Cleanup(bank.Close)
	t.Cleanup(w.double.Close)
	w.page = bank.URL
	w.Providers["idram"] = idram.New(idram.Config{PayURL: bank.URL + "/Payment/GetPayment"})
	require.NoError(t, w.Connect(t.Context(), w.ID, w.By, "idram", map[string]string{"account": "100000114", "secret": "test-secret-key"}, true))
	app := httptest.NewServer(hooks.Handler(w.Service, func() time.Time { return w.Clock }, slog.New(slog.DiscardHandler)))
	t.Cleanup(app.Close)
	w.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Connections(ctx, tx)
		require.NoError(t, err)
		address, err := w.HookURL(tx, all[1])
		w.hook, w.conn = strings.Replace(address, w.PublicURL, app.URL, 1), all[1].ID
		return err
	})
	w.double.Call(w.hook)
	return w
}

// open presses Pay and posts the form to Idram, as the customer's browser does; it returns the page there.
func (w *wallet) open(in payments.Invoice) string {
	w.Helper()
	checkout, err := w.Pay(w.Context(), w.ID, in.ID, "token", "idram", "en")
	require.NoError(w, err)
	require.NotNil(w, checkout.Form)
	form := url.Values{}
	for k, v := range checkout.Form {
		form.Set(k, v)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(checkout.URL, form)
	require.NoError(w, err)
	require.NoError(w, res.Body.Close())
	require.Equal(w, http.StatusSeeOther, res.StatusCode)
	return w.page + res.Header.Get("Location")
}

// pays is the customer at Idram's page; so many confirmations follow. It returns the status of the answer.
func (w *wallet) pays(page, outcome string, notices int) int {
	w.Helper()
	raw, err := json.Marshal(map[string]any{"url": page, "outcome": outcome, "notices": notices})
	require.NoError(w, err)
	res, err := http.Post(w.page+"/_control/pay", "application/json", bytes.NewReader(raw))
	require.NoError(w, err)
	require.NoError(w, res.Body.Close())
	return res.StatusCode
}

func (w *wallet) becomes(in payments.Invoice, status state.Status) payments.Invoice {
	w.Helper()
	require.Eventually(w, func() bool { return w.Read(in.ID).Status == status }, 10*time.Second, 10*time.Millisecond)
	return w.Read(in.ID)
}

func (w *wallet) actions(in payments.Invoice) (names []string) {
	w.In(func(ctx context.Context, tx *tenants.Tx) error {
		trail, err := tx.Trail(ctx, &in.ID, 0, 100)
		for i := len(trail) - 1; i >= 0; i-- {
			names = append(names, trail[i].Action)
		}
		return err
	})
	return names
}

// call is Idram's own server, or somebody who poses as it.
func (w *wallet) call(form url.Values) (int, string) {
	w.Helper()
	res, err := http.PostForm(w.hook, form)
	require.NoError(w, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(w, err)
	return res.StatusCode, string(body)
}

func confirmation(secret, bill, amount, trans string) url.Values {
	f := map[string]string{"EDP_BILL_NO": bill, "EDP_REC_ACCOUNT": "100000114", "EDP_PAYER_ACCOUNT": "201234567", "EDP_AMOUNT": amount,
		"EDP_TRANS_ID": trans, "EDP_TRANS_DATE": "10/03/2026"}
	form := url.Values{"EDP_CHECKSUM": {idramtest.Sign(secret, f)}}
	for k, v := range f {
		form.Set(k, v)
	}
	return form
}

func TestAConfirmationIsTheTruthWhereNobodyCanBeAsked(t *testing.T) {
	w := newWallet(t)
	in := w.Invoice("1", 1_500_000)
	page := w.open(in)
	require.Equal(t, http.StatusOK, w.pays(page, "paid", 3))
	paid := w.becomes(in, state.Paid)
	require.NotEmpty(t, paid.Reference)
	require.Equal(t, int64(1_500_000), paid.Paid)
	require.Equal(t, []string{"invoice.created", "attempt.started", "attempt.pending", "attempt.paid"}, w.actions(in), "three confirmations are one fact")
	require.Equal(t, int64(1_500_000), w.double.Books()[0].Captured)
	require.Empty(t, w.double.Alerts(), "our answer was OK each time")
	w.In(func(ctx context.Context, tx *tenants.Tx) error {
		var source, notice string
		err := tx.QueryRow(ctx, `SELECT evidence->>'source', evidence->>'notice' FROM facts WHERE status = 'paid'`).Scan(&source, &notice)
		require.Equal(t, "notice", source)
		require.NotEmpty(t, notice)
		return err
	})
}

func TestMoneyIsOnlyTakenForWhatCanBePaid(t *testing.T) {
	w := newWallet(t)
	ask := func(bill, amount string) string {
		_, body := w.call(url.Values{"EDP_PRECHECK": {"YES"}, "EDP_BILL_NO": {bill}, "EDP_REC_ACCOUNT": {"100000114"}, "EDP_AMOUNT": {amount}})
		return body
	}
	in := w.Invoice("1", 1_500_000)
	page := w.open(in)
	bill := in.Number + "-1"
	require.Equal(t, "OK", ask(bill, "15000.00"))
	require.NotEqual(t, "OK", ask(bill, "14999.00"), "another amount")
	require.NotEqual(t, "OK", ask("DP-NOBODY-1", "15000.00"), "an unknown bill")
	require.Equal(t, state.AwaitingPayment, w.Read(in.ID).Status, "a question moves nothing")

	_, err := w.Pay(t.Context(), w.ID, in.ID, "token", "till", "en")
	require.ErrorIs(t, err, payments.ErrBeingChecked, "nobody else starts while Idram may be taking the money")
	_, err = w.Cancel(t.Context(), w.ID, w.By, in.ID)
	require.ErrorIs(t, err, payments.ErrBeingChecked)
	w.Clock = w.Clock.Add(4 * time.Minute)
	_, err = w.Cancel(t.Context(), w.ID, w.By, in.ID)
	require.NoError(t, err)
	require.NotEqual(t, "OK", ask(bill, "15000.00"), "a cancelled link")
	require.Equal(t, http.StatusConflict, w.pays(page, "paid", 1), "nothing was taken")

	late := w.Invoice("2", 1_500_000)
	page = w.open(late)
	w.Clock = late.ExpiresAt
	require.Equal(t, http.StatusConflict, w.pays(page, "paid", 1), "an expired link takes no money")
	require.Equal(t, int64(0), w.double.Books()[1].Captured)
}

func TestMoneyNobodyWantsGoesBackByOurAnswer(t *testing.T) {
	w := newWallet(t)
	in := w.Invoice("1", 1_500_000)
	w.open(in)
	bill := in.Number + "-1"
	for range 2 {
		status, body := w.call(confirmation("test-secret-key", bill, "14000.00", "11111111111111"))
		require.Equal(t, http.StatusOK, status)
		require.NotEqual(t, "OK", body, "a wrong amount, refused as often as it comes")
	}
	require.Equal(t, []string{payments.SentBack}, w.exceptions(), "somebody knows, once: our first answer may have been lost")
	sent := w.shop.open()[0]
	require.Equal(t, [4]any{"1", in.ID, int64(1_400_000), "11111111111111"}, [4]any{sent.DealID, *sent.InvoiceID, sent.Minor, sent.Reference})
	require.Equal(t, []string{"task:payment_sent_back"}, w.planned("1"))
	require.NoError(t, w.decide(w.By, payments.Choice{Decision: "dismiss", Reason: "It is back"}))
	_, body := w.call(confirmation("test-secret-key", bill, "14000.00", "11111111111111"))
	require.NotEqual(t, "OK", body)
	require.Empty(t, w.exceptions(), "told once more, it is known")
	require.Equal(t, state.AwaitingPayment, w.Read(in.ID).Status)
	status, body := w.call(confirmation("test-secret-key", bill, "15000.00", "22222222222222"))
	require.Equal(t, [2]any{200, "OK"}, [2]any{status, body})
	status, body = w.call(confirmation("test-secret-key", bill, "15000.00", "33333333333333"))
	require.Equal(t, 200, status)
	require.NotEqual(t, "OK", body, "a second payment of a paid bill")
	status, body = w.call(confirmation("test-secret-key", "DP-NOBODY-1", "15000.00", "44444444444444"))
	require.Equal(t, 200, status)
	require.NotEqual(t, "OK", body, "a bill that is not ours")
	require.Equal(t, []string{payments.SentBack, payments.SentBack}, w.exceptions())
	paid := w.Read(in.ID)
	require.Equal(t, [3]any{state.Paid, int64(1_500_000), "22222222222222"}, [3]any{paid.Status, paid.Paid, paid.Reference})
	require.Equal(t, []string{"invoice.created", "attempt.started", "attempt.pending", "exception.opened", "payment.sent_back",
		"exception.closed", "exception.resolved", "attempt.paid", "exception.opened", "payment.sent_back"}, w.actions(in))

	status, body = w.call(confirmation("another secret", bill, "15000.00", "55555555555555"))
	require.Equal(t, http.StatusForbidden, status, "a forger costs nobody any money: %s", body)
	require.Equal(t, paid, w.Read(in.ID))
}

func TestAnAcquirerThatCannotBeAskedIsNotAskedAgainAndAgain(t *testing.T) {
	w := newWallet(t)
	in := w.Invoice("1", 1_500_000)
	w.open(in)
	a := w.attempt(in)
	next, err := w.Check(t.Context(), w.ID, a.ID)
	require.NoError(t, err)
	require.Equal(t, in.ExpiresAt.UTC(), next.UTC(), "one look when the link's time is over")
	w.Clock = in.ExpiresAt
	next, err = w.Check(t.Context(), w.ID, a.ID)
	require.NoError(t, err)
	require.Zero(t, next)
	require.Equal(t, state.AttemptExpired, w.attempt(in).Status)
}

func (w *wallet) attempt(in payments.Invoice) (a payments.Attempt) {
	w.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Attempts(ctx, tx, in.ID)
		a = all[len(all)-1]
		return err
	})
	return a
}

func TestAWordAboutAnotherAcquirersOrderPaysNothing(t *testing.T) {
	w := newWallet(t)
	in := w.Invoice("1", 1_500_000)
	tills := w.Try(in)
	status, body := w.call(url.Values{"EDP_PRECHECK": {"YES"}, "EDP_BILL_NO": {tills.Reference}, "EDP_REC_ACCOUNT": {"100000114"}, "EDP_AMOUNT": {"15000.00"}})
	require.Equal(t, http.StatusOK, status)
	require.NotEqual(t, "OK", body, "the question")
	status, body = w.call(confirmation("test-secret-key", tills.Reference, "15000.00", "66666666666666"))
	require.Equal(t, http.StatusOK, status)
	require.NotEqual(t, "OK", body, "the confirmation, though it is signed")
	require.Equal(t, tills, w.attempt(in))
	require.Equal(t, [2]any{state.AwaitingPayment, int64(0)}, [2]any{w.Read(in.ID).Status, w.Read(in.ID).Paid})
	require.Empty(t, balances(w.Shop, payments.Part{}))
	require.Equal(t, []int{1, 0}, w.numbers(`SELECT ARRAY[count(*), count(attempt_id)]::int[] FROM notices`))
	require.Equal(t, []int{0}, w.numbers(`SELECT ARRAY[count(*)]::int[] FROM attempts WHERE reserved_until IS NOT NULL`))
}
