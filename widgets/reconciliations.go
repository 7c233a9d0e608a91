package widgets

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// Reconcile answers POST /reconciliations.
func (s *Service) Reconcile(c *gin.Context) {
	var in api.ReconcileRequest
	_, err := decode(c, &in)
	var day time.Time
	if err == nil {
		if day, err = time.Parse(time.DateOnly, in.Day); err != nil {
			err = &bad{"day_unreadable", "day must be a day such as 2026-03-31."}
		}
	}
	var run payments.Run
	if err == nil {
		run, err = s.Payments.Reconcile(c.Request.Context(), who(c).tenant, who(c).by, day, in.Acquirer)
	}
	s.answer(c, http.StatusAccepted, runView(run), err)
}

// beforeID reads the cursor of a list whose cursors are ids; nil for the first page.
func beforeID(c *gin.Context) (*uuid.UUID, error) {
	text := c.Query("after")
	if text == "" {
		return nil, nil //nolint:nilnil // the first page has no cursor
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, &bad{"cursor_unreadable", "after is not a cursor of this list."}
	}
	return &id, nil
}

// cut shortens to a page what was read with one row more than a page has, and returns the cursor of the next page, if there is
// one: what of says of the last row.
func cut[T any](rows []T, of func(T) string) ([]T, *string) {
	if len(rows) <= pageSize {
		return rows, nil
	}
	next := of(rows[pageSize-1])
	return rows[:pageSize], &next
}

// answer answers with a value, or with the problem.
func (s *Service) answer(c *gin.Context, status int, value any, err error) {
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(status, value)
}

// ListReconciliations answers GET /reconciliations.
func (s *Service) ListReconciliations(c *gin.Context) {
	before, err := beforeID(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	page := api.ReconciliationPage{Items: []api.Reconciliation{}}
	err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		runs, err := payments.Runs(ctx, tx, before, pageSize+1)
		runs, page.Next = cut(runs, func(r payments.Run) string { return r.ID.String() })
		for _, r := range runs {
			page.Items = append(page.Items, runView(r))
		}
		return err
	})
	s.answer(c, http.StatusOK, page, err)
}

func runView(r payments.Run) api.Reconciliation {
	return api.Reconciliation{Id: r.ID.String(), Day: r.Day.Format(time.DateOnly), Acquirer: r.Acquirer, State: api.ReconciliationState(r.State),
		Total: r.Total, Checked: r.Checked, Repaired: r.Repaired, Unanswered: r.Unanswered, CrmSkipped: r.CRMSkipped, AskedBy: string(r.AskedBy),
		StartedAt: utc(r.StartedAt), FinishedAt: utc(r.FinishedAt), Open: r.Open}
}

// GetReconciliation answers GET /reconciliations/{id}.
func (s *Service) GetReconciliation(c *gin.Context) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		s.fail(c, payments.ErrNotFound)
		return
	}
	after, err := strconv.Atoi(c.DefaultQuery("after", "0"))
	if err != nil || after < 0 {
		s.fail(c, &bad{"cursor_unreadable", "after is not a cursor of this list."})
		return
	}
	report := api.ReconciliationReport{Totals: []api.LedgerTotal{}, Mismatches: []api.Mismatch{}}
	err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		run, err := payments.RunOf(ctx, tx, id)
		if err != nil {
			return err
		}
		report.Run = runView(run)
		totals, err := payments.Totals(ctx, tx, run)
		if err != nil {
			return err
		}
		for _, t := range totals {
			report.Totals = append(report.Totals, api.LedgerTotal{Kind: t.Kind, Amount: api.Money{Minor: t.Minor, Currency: t.Currency}})
		}
		found, err := payments.Mismatches(ctx, tx, id, after, pageSize+1)
		if len(found) > pageSize {
			found = found[:pageSize]
			report.Next = &found[pageSize-1].N
		}
		for _, m := range found {
			report.Mismatches = append(report.Mismatches, mismatchView(m))
		}
		return err
	})
	s.answer(c, http.StatusOK, report, err)
}

func mismatchView(m payments.Mismatch) api.Mismatch {
	v := api.Mismatch{RunId: m.Run.String(), N: m.N, Kind: api.MismatchKind(m.Kind), DealId: m.DealID, Reference: m.Reference, Ours: m.Ours, Theirs: m.Theirs,
		Source: api.MismatchSource(m.Source), Owner: m.Owner, State: api.MismatchState(m.State), Reason: m.Reason, FoundAt: m.FoundAt.UTC(),
		ChangedAt: utc(m.ChangedAt), ChangedBy: m.ChangedBy}
	if m.AttemptID != nil {
		id := m.AttemptID.String()
		v.AttemptId = &id
	}
	return v
}

// ListMismatches answers GET /mismatches.
func (s *Service) ListMismatches(c *gin.Context) {
	f := payments.MismatchFilter{State: c.Query("state"), Limit: pageSize + 1}
	var err error
	if f.State != "" && !api.MismatchState(f.State).Valid() {
		err = &bad{"state_unknown", "state must be open, explained or closed."}
	}
	if text := c.Query("after"); err == nil && text != "" {
		run, n, _ := strings.Cut(text, "-n")
		var err2 error
		f.Run, err = uuid.Parse(run)
		if f.N, err2 = strconv.Atoi(n); err != nil || err2 != nil || f.N < 1 || f.N > 1<<30 {
			err = &bad{"cursor_unreadable", "after is not a cursor of this list."}
		}
	}
	page := api.MismatchPage{Items: []api.Mismatch{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			list, err := payments.AllMismatches(ctx, tx, f)
			list, page.Next = cut(list, func(m payments.Mismatch) string { return fmt.Sprintf("%s-n%d", m.Run, m.N) })
			for _, m := range list {
				page.Items = append(page.Items, mismatchView(m))
			}
			return err
		})
	}
	s.answer(c, http.StatusOK, page, err)
}

// JudgeMismatch answers POST /reconciliations/{id}/mismatches/{n}.
func (s *Service) JudgeMismatch(c *gin.Context) {
	id, err := uuid.Parse(c.Param("id"))
	n, err2 := strconv.Atoi(c.Param("n"))
	if err != nil || err2 != nil || n > 1<<30 {
		s.fail(c, payments.ErrNotFound)
		return
	}
	var in api.Judgement
	var m payments.Mismatch
	if _, err = decode(c, &in); err == nil {
		j := payments.Judgement{State: string(in.State), Reason: in.Reason}
		if in.Owner != nil {
			j.Owner = *in.Owner
		}
		m, err = s.Payments.Judge(c.Request.Context(), who(c).tenant, who(c).by, id, n, j)
	}
	s.answer(c, http.StatusOK, mismatchView(m), err)
}

// ListBalances answers GET /balances.
func (s *Service) ListBalances(c *gin.Context) {
	of := payments.Part{Deal: c.Query("deal_id")}
	var err error
	if text := c.Query("invoice_id"); text != "" {
		if of.Invoice, err = uuid.Parse(text); err != nil || of.Invoice == uuid.Nil {
			err = &bad{"invoice_unreadable", "invoice_id must be the id of an invoice."}
		}
	}
	list := api.BalanceList{Items: []api.Balance{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			all, err := payments.Balances(ctx, tx, of)
			for _, b := range all {
				list.Items = append(list.Items, api.Balance{Account: string(b.Account), Amount: payments.Money{Minor: b.Minor, Currency: b.Currency}})
			}
			return err
		})
	}
	s.answer(c, http.StatusOK, list, err)
}

// ListPeriods answers GET /periods.
func (s *Service) ListPeriods(c *gin.Context) {
	page := api.PeriodPage{Items: []api.Period{}}
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		list, err := payments.Periods(ctx, tx)
		for _, p := range list {
			page.Items = append(page.Items, periodView(p))
		}
		return err
	})
	s.answer(c, http.StatusOK, page, err)
}

func periodView(p payments.Period) api.Period {
	return api.Period{Month: p.Month.Format("2006-01"), LockedAt: p.LockedAt.UTC(), LockedBy: string(p.LockedBy)}
}

// LockPeriod answers POST /periods/{month}/lock.
func (s *Service) LockPeriod(c *gin.Context) {
	month, err := time.Parse("2006-01", c.Param("month"))
	if err != nil || month.Year() < 2000 || month.Year() > 2100 {
		s.fail(c, &bad{"month_unreadable", "The month must be like 2026-03."})
		return
	}
	p, err := s.Payments.Lock(c.Request.Context(), who(c).tenant, who(c).by, month)
	s.answer(c, http.StatusOK, periodView(p), err)
}
