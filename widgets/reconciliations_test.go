package widgets_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/register"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// got sends a request that succeeds and reads its answer.
func got[T any](o *office, status int, method, path string, body any) (answer T) {
	o.Helper()
	code, raw := o.call(method, path, body)
	require.Equal(o, status, code, "%s %s: %s", method, path, raw)
	require.NoError(o, json.Unmarshal(raw, &answer))
	return answer
}

// runs works off a promised reconciliation, as a worker does.
func (o *office) runs(key string) {
	o.Helper()
	for {
		stretch, err := o.NextStretch(o.Context(), o.ID, key)
		require.NoError(o, err)
		for _, a := range stretch.Attempts {
			require.NoError(o, o.Compare(o.Context(), o.ID, stretch.Run, a, true))
		}
		if len(stretch.Attempts) == 0 {
			require.NoError(o, o.Finish(o.Context(), o.ID, stretch.Run))
			return
		}
	}
}

func TestADayIsReconciledOnRequest(t *testing.T) {
	o := newOffice(t)
	_, a := o.Sold("7", 150_050)
	o.Tell(a, tilltest.Took(tilltest.AMD(100_000)))
	o.Clock = o.Clock.AddDate(0, 0, 1)
	run := got[api.Reconciliation](o, http.StatusAccepted, "POST", "/reconciliations", map[string]string{"day": "2026-03-10", "acquirer": "till"})
	require.Equal(t, []any{"waiting", "2026-03-10", "key:accountant"}, []any{string(run.State), run.Day, run.AskedBy})
	o.runs("2026-03-10|till")

	page := got[api.ReconciliationPage](o, http.StatusOK, "GET", "/reconciliations", nil)
	require.Len(t, page.Items, 1)
	require.Equal(t, []any{api.ReconciliationState("done"), 1, 1, 1}, []any{page.Items[0].State, page.Items[0].Total, page.Items[0].Checked, page.Items[0].Open})
	report := got[api.ReconciliationReport](o, http.StatusOK, "GET", "/reconciliations/"+run.Id, nil)
	require.Equal(t, []api.LedgerTotal{{Kind: "capture", Amount: api.Money{Minor: 150_050, Currency: "AMD"}}}, report.Totals)
	require.Len(t, report.Mismatches, 1)
	m := report.Mismatches[0]
	require.Equal(t, []any{1, api.AmountDiffers, "7", a.Reference, "1500.50 AMD", "1000.00 AMD", "accountant"},
		[]any{m.N, m.Kind, m.DealId, m.Reference, m.Ours, m.Theirs, m.Owner})
	require.Empty(t, got[api.ReconciliationReport](o, http.StatusOK, "GET", "/reconciliations/"+run.Id+"?after=1", nil).Mismatches)
	require.Equal(t, run.Id, m.RunId)
	require.Equal(t, []api.Mismatch{m}, got[api.MismatchPage](o, http.StatusOK, "GET", "/mismatches?state=open", nil).Items)
	require.Empty(t, got[api.MismatchPage](o, http.StatusOK, "GET", "/mismatches?state=explained", nil).Items)
	require.Empty(t, got[api.MismatchPage](o, http.StatusOK, "GET", "/mismatches?after="+run.Id+"-n1", nil).Items)

	judged := got[api.Mismatch](o, http.StatusOK, "POST", "/reconciliations/"+run.Id+"/mismatches/1", map[string]string{"state": "explained", "reason": "the bank rounds"})
	require.Equal(t, []string{"explained", "key:accountant", "the bank rounds"}, []string{string(judged.State), judged.Owner, judged.Reason})
	judged = got[api.Mismatch](o, http.StatusOK, "POST", "/reconciliations/"+run.Id+"/mismatches/1",
		map[string]string{"state": "closed", "reason": "settled", "owner": "user:5"})
	require.Equal(t, "user:5", judged.Owner)
}

func TestReconciliationsRefuse(t *testing.T) {
	o := newOffice(t)
	o.refused(400, "day_unreadable", "POST", "/reconciliations", map[string]string{"day": "10.03.2026", "acquirer": "till"})
	o.refused(422, "day_unusable", "POST", "/reconciliations", map[string]string{"day": "2026-03-10", "acquirer": "till"})
	o.refused(404, "not_found", "POST", "/reconciliations", map[string]string{"day": "2026-03-09", "acquirer": "nobody"})
	o.refused(400, "body_unreadable", "POST", "/reconciliations", `{"day": "2026-03-09", "acquirer": "till", "more": 1}`)
	o.refused(400, "cursor_unreadable", "GET", "/reconciliations?after=x", nil)
	o.refused(404, "not_found", "GET", "/reconciliations/x", nil)
	o.refused(400, "state_unknown", "GET", "/mismatches?state=lost", nil)
	for _, list := range []string{"/mismatches?after=x", "/mismatches?after=" + uuid.NewString(), "/mismatches?after=" + uuid.NewString() + "-n0", "/registers?after=1"} {
		o.refused(400, "cursor_unreadable", "GET", list, nil)
	}
	o.refused(404, "not_found", "GET", "/reconciliations/"+uuid.NewString(), nil)
	run, err := o.Reconcile(t.Context(), o.ID, o.By, o.Clock.AddDate(0, 0, -3), "till")
	require.NoError(t, err)
	path := "/reconciliations/" + run.ID.String()
	o.refused(400, "cursor_unreadable", "GET", path+"?after=-1", nil)
	o.refused(404, "not_found", "POST", path+"/mismatches/1", map[string]string{"state": "closed", "reason": "x"})
	o.refused(404, "not_found", "POST", path+"/mismatches/99999999999", map[string]string{"state": "closed", "reason": "x"})
	o.refused(422, "reason_unusable", "POST", path+"/mismatches/1", map[string]string{"state": "closed", "reason": strings.Repeat("x", 1001)})
	for _, route := range []string{"GET /reconciliations", "POST /reconciliations", "GET " + path, "POST " + path + "/mismatches/1", "POST /registers?acquirer=till",
		"GET /registers/till/mapping", "PUT /registers/till/mapping", "POST /periods/2026-02/lock",
		"GET /mismatches", "GET /registers", "GET /periods"} {
		method, where, _ := strings.Cut(route, " ")
		status, _ := o.callAs(tenants.Manager, method, where, "{}")
		require.Equal(t, http.StatusForbidden, status, route)
	}
	other := tenantstest.Tenant(t, o.Fixture, "kommo", "other")
	require.NoError(t, o.Connect(t.Context(), other, o.By, "till", map[string]string{"key": "k"}, false))
	foreign, err := o.Reconcile(t.Context(), other, o.By, o.Clock.AddDate(0, 0, -3), "till")
	require.NoError(t, err)
	o.refused(404, "not_found", "GET", "/reconciliations/"+foreign.ID.String(), nil)
	o.refused(404, "not_found", "POST", "/reconciliations/"+foreign.ID.String()+"/mismatches/1", map[string]string{"state": "closed", "reason": "x"})
}

func TestARegisterIsUploaded(t *testing.T) {
	o := newOffice(t)
	_, a := o.Sold("7", 150_050)
	mapping := register.Mapping{Delimiter: ";", Encoding: "utf-8", Decimal: ",", Date: "dd.mm.yyyy", Currency: "AMD",
		Columns: register.Columns{Reference: "Заказ", Amount: "Сумма", Fee: "Комиссия", Date: "Дата"}}
	file := "Заказ;Сумма;Комиссия;Дата\n" + a.Reference + ";1 500,50;37,51;11.03.2026\n"
	o.refused(404, "not_found", "GET", "/registers/till/mapping", nil)
	o.refused(404, "not_found", "GET", "/registers/nobody/mapping", nil)
	o.refused(422, "mapping_missing", "POST", "/registers?acquirer=till", file)
	o.refused(422, "mapping_unusable", "PUT", "/registers/till/mapping", register.Mapping{})
	o.refused(404, "not_found", "PUT", "/registers/nobody/mapping", mapping)
	require.Equal(t, mapping, got[register.Mapping](o, http.StatusOK, "PUT", "/registers/till/mapping", mapping))
	require.Equal(t, mapping, got[register.Mapping](o, http.StatusOK, "GET", "/registers/till/mapping", nil))

	r := got[api.Register](o, http.StatusCreated, "POST", "/registers?acquirer=till", file)
	require.Equal(t, []any{1, 0, "2026-03-11"}, []any{r.Lines, r.Unmatched, *r.FirstDay})
	require.Equal(t, r, got[api.Register](o, http.StatusCreated, "POST", "/registers?acquirer=till", file))
	require.Equal(t, []api.Register{r}, got[api.RegisterPage](o, http.StatusOK, "GET", "/registers", nil).Items)
	require.Empty(t, got[api.RegisterPage](o, http.StatusOK, "GET", "/registers?after="+r.Id, nil).Items)
	o.refused(422, "register_unreadable", "POST", "/registers?acquirer=till", "Заказ;Сумма;Комиссия;Дата\nx;y;;11.03.2026\n")
	o.refused(400, "body_too_large", "POST", "/registers?acquirer=till", strings.Repeat("x", 8<<20+1))
	o.refused(404, "not_found", "POST", "/registers?acquirer=nobody", file)
	var fees int64
	require.NoError(t, o.Movements(t.Context(), o.ID, o.Clock.AddDate(0, 0, -1), o.Clock.AddDate(0, 0, 2), func(m payments.Movement) error {
		fees += m.Fee
		return nil
	}))
	require.Equal(t, int64(3_751), fees)
}

func TestAChargebackOfARegisterIsConfirmed(t *testing.T) {
	o := newOffice(t)
	_, a := o.Sold("7", 150_050)
	mapping := register.Mapping{Delimiter: ";", Encoding: "utf-8", Decimal: ",", Date: "dd.mm.yyyy", Currency: "AMD", Kinds: map[string]register.Kind{"back": register.Chargeback},
		Columns: register.Columns{Kind: "What", Reference: "Order", Amount: "Sum", Date: "Day"}}
	require.Equal(t, mapping, got[register.Mapping](o, http.StatusOK, "PUT", "/registers/till/mapping", mapping))
	got[api.Register](o, http.StatusCreated, "POST", "/registers?acquirer=till", "What;Order;Sum;Day\nback;"+a.Reference+";1500,50;12.03.2026\n")
	o.Clock = o.Clock.AddDate(0, 0, 4)
	run := got[api.Reconciliation](o, http.StatusAccepted, "POST", "/reconciliations", map[string]string{"day": "2026-03-12", "acquirer": "till"})
	o.runs("2026-03-12|till")
	report := got[api.ReconciliationReport](o, http.StatusOK, "GET", "/reconciliations/"+run.Id, nil)
	require.Len(t, report.Mismatches, 1)
	require.Equal(t, []any{api.ChargebackDiffers, "0.00 AMD", "1500.50 AMD"}, []any{report.Mismatches[0].Kind, report.Mismatches[0].Ours, report.Mismatches[0].Theirs})
	path := "/reconciliations/" + run.Id + "/mismatches/1"
	o.refused(422, "reason_empty", "POST", path, map[string]string{"state": "confirmed", "reason": ""})
	judged := got[api.Mismatch](o, http.StatusOK, "POST", path, map[string]string{"state": "confirmed", "reason": "letter 17"})
	require.Equal(t, []string{"closed", "letter 17"}, []string{string(judged.State), judged.Reason})
	status, _ := o.call("POST", path, map[string]string{"state": "confirmed", "reason": "again"})
	require.Equal(t, http.StatusConflict, status)
}

func TestBalancesByAccountAndCurrency(t *testing.T) {
	o := busy(t)
	in := o.Invoice("9", 150_000)
	o.Learn(o.Try(in), tilltest.Took(payments.Money{Minor: 7_500, Currency: "USD"}))
	read := func(query string) map[string]int64 {
		sums := map[string]int64{}
		for _, b := range got[api.BalanceList](o, http.StatusOK, "GET", "/balances"+query, nil).Items {
			sums[b.Account+" "+b.Amount.Currency] = b.Amount.Minor
		}
		return sums
	}
	require.Equal(t, map[string]int64{"acquirer:till AMD": 150_000, "cash AMD": 50_000, "customer_refunds AMD": 50, "receivable AMD": -200_050,
		"acquirer:till USD": 7_500, "unmatched USD": -7_500}, read(""))
	require.Equal(t, map[string]int64{"acquirer:till AMD": 150_000, "customer_refunds AMD": 50, "receivable AMD": -150_050}, read("?deal_id=7"))
	require.Equal(t, map[string]int64{"cash AMD": 50_000, "receivable AMD": -50_000}, read("?deal_id=8"))
	require.Equal(t, read("?deal_id=9"), read("?invoice_id="+in.ID.String()))
	require.Empty(t, read("?deal_id=unknown"))
	require.Empty(t, read("?invoice_id="+uuid.NewString()))
	for _, bad := range []string{"x", uuid.Nil.String()} {
		o.refused(400, "invoice_unreadable", "GET", "/balances?invoice_id="+bad, nil)
	}
	other := tenantstest.Tenant(t, o.Fixture, "kommo", "other")
	require.NoError(t, o.DB.In(t.Context(), other, func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Balances(ctx, tx, payments.Part{})
		require.Empty(t, all)
		return err
	}))
}

func TestAMonthIsLocked(t *testing.T) {
	o := newOffice(t)
	o.refused(400, "month_unreadable", "POST", "/periods/February/lock", nil)
	o.refused(422, "month_not_over", "POST", "/periods/2026-03/lock", nil)
	p := got[api.Period](o, http.StatusOK, "POST", "/periods/2026-02/lock", nil)
	require.Equal(t, []string{"2026-02", "key:accountant"}, []string{p.Month, p.LockedBy})
	require.Equal(t, p, got[api.Period](o, http.StatusOK, "POST", "/periods/2026-02/lock", nil))
	require.Equal(t, []api.Period{p}, got[api.PeriodPage](o, http.StatusOK, "GET", "/periods", nil).Items)
}
