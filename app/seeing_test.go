package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// card is a deal as its CRM holds it.
type card struct {
	ID     string         `json:"id"`
	Stage  string         `json:"stage"`
	Fields map[string]any `json:"fields"`
	Notes  []struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	} `json:"notes"`
	Tasks []struct {
		ID   string `json:"id"`
		Text string `json:"text"`
		Done bool   `json:"done"`
	} `json:"tasks"`
}

// deal reads a deal from its CRM.
func (a *account) deal(id string) card {
	a.Helper()
	var state struct {
		Deals []card `json:"deals"`
	}
	require.NoError(a, json.Unmarshal(a.order(a.Account, "state", nil), &state))
	for _, d := range state.Deals {
		if d.ID == id {
			return d
		}
	}
	require.Failf(a, "no deal", "%s in %s", id, a.Account)
	return card{}
}

// field is what a field of ours holds, in one form for every CRM: amounts as "150000.00".
func (c card) field(key string) string {
	v, ok := c.Fields["DEALPAY_"+strings.ToUpper(key)]
	if !ok {
		v = c.Fields["UF_CRM_DEAL_DEALPAY_"+strings.ToUpper(key)]
	}
	if v == nil {
		return ""
	}
	text := fmt.Sprint(v)
	if n, isNumber := v.(float64); isNumber {
		text = fmt.Sprintf("%.2f", n)
	}
	if key == "paid" || key == "refunded" || key == "outstanding" {
		amount, _, _ := strings.Cut(text, "|")
		var n float64
		if _, err := fmt.Sscan(amount, &n); err == nil {
			text = fmt.Sprintf("%.2f", n)
		}
	}
	return text
}

// notes are the deal's notes that name the invoice.
func (c card) notes(in api.Invoice) []string {
	var texts []string
	for _, n := range c.Notes {
		if strings.Contains(n.Text, in.Number) {
			texts = append(texts, n.Text)
		}
	}
	return texts
}

// tasks counts the deal's open and done tasks.
func (c card) tasks() (open, done int) {
	for _, t := range c.Tasks {
		if t.Done {
			done++
		} else {
			open++
		}
	}
	return open, done
}

// won is the stage that paid deals of the first pipeline are mapped to.
func (a *account) won() string {
	if a.CRM == string(crm.Bitrix24) {
		return "WON"
	}
	return "142"
}

// becomes waits until an invoice has this status and its deal was written to the CRM.
func (a *account) becomes(in api.Invoice, status string) api.Invoice {
	a.Helper()
	var now api.Invoice
	a.until("the invoice is "+status+" and written to "+a.CRM, func() bool {
		now = a.get(in.Id)
		return string(now.Status) == status && now.Sync.State == "written"
	})
	return now
}

// quiet waits until nothing that is due by the scene's clock is left to do.
func (a *account) quiet() {
	a.Helper()
	a.until("nothing is due", func() bool { // nor soon: a write is tried again a second later, or waits for others
		return a.number(`SELECT count(*) FROM outbox WHERE done_at IS NULL AND dead_at IS NULL AND due_at <= $1::timestamptz + CASE kind WHEN 'push' THEN interval '3 seconds' ELSE interval '0' END`,
			a.clock.Now()) == 0
	})
}

// number runs a query of one number as the tenant.
func (a *account) number(sql string, args ...any) (n int) {
	a.Helper()
	a.value(&n, sql, args...)
	return n
}

func (a *account) text(sql string, args ...any) (text string) {
	a.Helper()
	a.value(&text, sql, args...)
	return text
}

func (a *account) value(into any, sql string, args ...any) {
	a.Helper()
	require.NoError(a, a.house.db.In(context.WithoutCancel(a.Context()), a.id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(into)
	}))
}

// held are the tables that hold what people did and what happened to money.
var held = []string{"tenants", "api_keys", "idempotency", "connections", "invoices", "links", "sends", "attempts", "notices", "facts",
	"refunds", "exceptions", "effects"}

// print is a fingerprint of all that the tenant has, so that a request that must change nothing can be seen to.
func (a *account) print() map[string]string {
	a.Helper()
	seen := map[string]string{}
	require.NoError(a, a.house.db.In(a.Context(), a.id, func(ctx context.Context, tx *tenants.Tx) error {
		for _, table := range held {
			var sum string
			if err := tx.QueryRow(ctx, `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '') FROM `+table+` t`).Scan(&sum); err != nil {
				return err
			}
			seen[table] = sum
		}
		return nil
	}))
	return seen
}

// exceptions lists the open exceptions of a deal.
func (a *account) exceptions(deal string) []api.Exception {
	a.Helper()
	var own []api.Exception
	for _, e := range want[api.ExceptionPage](a.scene, http.StatusOK, a.api(http.MethodGet, "/exceptions", nil)).Items {
		if e.DealId == deal {
			own = append(own, e)
		}
	}
	return own
}

// handPrices is a manager who changes a deal's amount in the CRM itself, in major units.
func (a *account) handPrices(deal string, amount int) {
	a.Helper()
	if a.CRM == string(crm.Bitrix24) {
		a.order(a.Account, "edit", map[string]any{"deal": deal, "fields": map[string]any{"OPPORTUNITY": amount}})
		return
	}
	a.order(a.Account, "leads/edit", map[string]any{"lead": deal, "price": amount})
}

func TestADealWhoseAmountChangedSaysSoToProgramsToo(t *testing.T) {
	t.Parallel()
	for _, a := range newScene(t).accounts { // one after the other: they share a clock
		require.Nil(a, a.balance("1").Drift)
		in := a.create("1")
		require.Nil(a, a.balance("1").Drift)
		a.handPrices("1", 180_000)
		require.Nil(a, a.balance("1").Drift, "a program that asks again at once costs the CRM nothing")
		a.clock.Advance(time.Minute)
		require.Equal(a, &api.Drift{Was: in.Amount, Now: api.Money{Minor: 18_000_000, Currency: in.Amount.Currency}}, a.balance("1").Drift)
		manager := a.with(a.session("1", crm.System(a.CRM), "manager"))
		a.until("a person sees it too, whenever the CRM answers in time", func() bool {
			seen := manager.balance("1").Drift
			return seen != nil && *seen == *a.balance("1").Drift
		})
		a.down()
		a.clock.Advance(time.Minute)
		view := a.balance("1")
		require.Nil(a, view.Drift, "without the CRM nobody knows")
		require.Len(a, view.Invoices, 1)
	}
}
