package widgets_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// office is a shop whose accountants call the API.
type office struct {
	*tilltest.Shop
	url  string
	keys map[tenants.Role]string
}

func newOffice(t *testing.T) *office {
	gin.SetMode(gin.ReleaseMode)
	o := &office{Shop: tilltest.New(t), keys: map[tenants.Role]string{}}
	w := &widgets.Service{DB: o.DB, Payments: o.Service, Now: o.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	r := gin.New()
	g := r.Group("", w.Gate(tenants.Accountant))
	g.GET("/exports", w.Export)
	g.GET("/reconciliations", w.ListReconciliations)
	g.POST("/reconciliations", w.Reconcile)
	g.GET("/reconciliations/:id", w.GetReconciliation)
	g.POST("/reconciliations/:id/mismatches/:n", w.JudgeMismatch)
	g.GET("/balances", w.ListBalances)
	g.GET("/mismatches", w.ListMismatches)
	g.GET("/registers", w.ListRegisters)
	g.GET("/periods", w.ListPeriods)
	g.POST("/registers", w.ImportRegister)
	g.GET("/registers/:acquirer/mapping", w.GetMapping)
	g.PUT("/registers/:acquirer/mapping", w.PutMapping)
	g.POST("/periods/:month/lock", w.LockPeriod)
	g.GET("/audit", w.Audit)
	g.GET("/people", w.ListPeople)
	g.PUT("/people/:id", w.PutPerson)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	o.url = server.URL
	o.In(func(ctx context.Context, tx *tenants.Tx) error {
		for _, role := range []tenants.Role{tenants.Manager, tenants.Accountant} {
			_, key, err := tx.NewAPIKey(ctx, string(role), role, "user:1")
			if err != nil {
				return err
			}
			o.keys[role] = string(key)
		}
		return nil
	})
	return o
}

// call sends a request as the accountant. A string is sent as it is, another body as JSON.
func (o *office) call(method, path string, body any) (int, []byte) {
	o.Helper()
	return o.callAs(tenants.Accountant, method, path, body)
}

func (o *office) callAs(role tenants.Role, method, path string, body any) (int, []byte) {
	o.Helper()
	content, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		require.NoError(o, err)
		content = string(raw)
	}
	request, err := http.NewRequestWithContext(o.Context(), method, o.url+path, strings.NewReader(content))
	require.NoError(o, err)
	request.Header.Set("Authorization", "Bearer "+o.keys[role])
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(o, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(o, err)
	return response.StatusCode, raw
}

// refused requires a problem with this status and code.
func (o *office) refused(status int, code, method, path string, body any) {
	o.Helper()
	got, raw := o.call(method, path, body)
	var p api.Problem
	require.NoError(o, json.Unmarshal(raw, &p), "%s %s: %d %s", method, path, got, raw)
	require.Equal(o, []any{status, code}, []any{got, p.Code}, "%s %s: %s", method, path, p.Detail)
}

// busy is an office with a sale, a part of it refunded, and cash that somebody noted with a dangerous reason.
func busy(t *testing.T) *office {
	o := newOffice(t)
	_, a := o.Sold("7", 150_050)
	o.Learn(a, tilltest.Back(tilltest.AMD(150_050), tilltest.AMD(50)))
	in := o.Invoice("8", 50_000)
	_, _, err := o.Receive(t.Context(), o.ID, o.By, in.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(50_000), ReceivedAt: o.Clock.Add(-time.Hour),
		Reference: "=HYPERLINK(\"http://evil.example\")", Reason: "at the counter"})
	require.NoError(t, err)
	return o
}

func TestExportsAsCSV(t *testing.T) {
	o := busy(t)
	status, raw := o.call("GET", "/exports?from=2026-03-01&to=2026-03-31", nil)
	require.Equal(t, http.StatusOK, status)
	table, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	require.NoError(t, err)
	require.Len(t, table, 4)
	at := map[string]int{}
	for i, name := range table[0] {
		at[name] = i
	}
	cell := func(row int, name string) string { return table[row][at[name]] }
	require.Equal(t, []string{"2026-03-10", "capture", "contact 7", "1500.50", "AMD", "partial", "acquirer", "2026-03-10T09:00:00Z"},
		[]string{cell(1, "day"), cell(1, "kind"), cell(1, "customer"), cell(1, "amount"), cell(1, "currency"), cell(1, "refund_state"), cell(1, "evidence"), cell(1, "verified_at")})
	require.Equal(t, []string{"refund", "-0.50"}, []string{cell(2, "kind"), cell(2, "amount")})
	require.Equal(t, []string{"manual", "500.00", "operator", "user:1", "cash", "'=HYPERLINK(\"http://evil.example\")", "at the counter"},
		[]string{cell(3, "kind"), cell(3, "amount"), cell(3, "evidence"), cell(3, "actor"), cell(3, "method"), cell(3, "reference"), cell(3, "reason")})
	o.In(func(ctx context.Context, tx *tenants.Tx) error {
		trail, err := tx.Trail(ctx, nil, 0, 1)
		require.Equal(t, "export.made", trail[0].Action)
		return err
	})
}

func TestExportsForOneC(t *testing.T) {
	o := busy(t)
	status, raw := o.call("GET", "/exports?from=2026-03-10&to=2026-03-10&format=1c", nil)
	require.Equal(t, http.StatusOK, status)
	require.True(t, bytes.HasPrefix(raw, []byte("\uFEFFДата;Вид;")), "%.40s", raw)
	lines := strings.Split(strings.TrimSuffix(string(raw), "\r\n"), "\r\n")
	require.Len(t, lines, 4)
	require.Contains(t, lines[1], ";1500,50;")
	require.True(t, strings.HasPrefix(lines[1], "10.03.2026;capture;"))
	require.Contains(t, lines[1], ";10.03.2026 13:00:00;", "in the tenant's time zone")
}

func TestExportsAsAWorkbook(t *testing.T) {
	o := busy(t)
	status, raw := o.call("GET", "/exports?from=2026-03-10&to=2026-03-10&format=xlsx", nil)
	require.Equal(t, http.StatusOK, status)
	book, err := excelize.OpenReader(bytes.NewReader(raw))
	require.NoError(t, err)
	rows, err := book.GetRows("Payments", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Contains(t, rows[1], "1500.5")
}

func TestExportsRefuse(t *testing.T) {
	o := newOffice(t)
	o.refused(400, "day_unreadable", "GET", "/exports?from=2026-03-01", nil)
	o.refused(400, "day_unreadable", "GET", "/exports?from=01.03.2026&to=2026-03-02", nil)
	o.refused(400, "days_reversed", "GET", "/exports?from=2026-03-02&to=2026-03-01", nil)
	o.refused(400, "days_too_many", "GET", "/exports?from=2025-01-01&to=2026-03-01", nil)
	o.refused(400, "format_unknown", "GET", "/exports?from=2026-03-01&to=2026-03-02&format=pdf", nil)
	status, _ := o.callAs(tenants.Manager, "GET", "/exports?from=2026-03-01&to=2026-03-02", nil)
	require.Equal(t, http.StatusForbidden, status)
	status, raw := o.call("GET", "/exports?from=2026-03-01&to=2026-03-02", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 1, bytes.Count(raw, []byte("\n")), "nothing happened: headings only")
}
