package widgets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/dealpay/dealpay/widgets/sheet"
	"github.com/gin-gonic/gin"
)

// columns of an export, with their headings for programs and for 1C.
var columns = []struct {
	key, russian string
	cell         func(m payments.Movement) sheet.Cell
}{
	{"day", "Дата", func(m payments.Movement) sheet.Cell { return sheet.Day(m.Day) }},
	{"kind", "Вид", func(m payments.Movement) sheet.Cell { return sheet.Text(string(m.Kind)) }},
	{"payment_id", "Платёж", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Payment) }},
	{"invoice", "Счёт", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Invoice) }},
	{"deal", "Сделка", func(m payments.Movement) sheet.Cell { return sheet.Text(m.DealID) }},
	{"customer", "Клиент", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Customer) }},
	{"acquirer", "Эквайер", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Acquirer) }},
	{"order", "Номер заказа", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Order) }},
	{"provider_ref", "Номер у эквайера", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Provider) }},
	{"currency", "Валюта", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Currency) }},
	{"amount", "Сумма", func(m payments.Movement) sheet.Cell { return sheet.Money(m.Amount, m.Currency) }},
	{"fee", "Комиссия", func(m payments.Movement) sheet.Cell { return sheet.Money(m.Fee, m.Currency) }},
	{"payout", "Выплата", func(m payments.Movement) sheet.Cell { return sheet.Money(m.Payout, m.Currency) }},
	{"non_cash", "Без движения денег", func(m payments.Movement) sheet.Cell { return sheet.Money(m.NonCash, m.Currency) }},
	{"payment_amount", "Платёж, сумма", func(m payments.Movement) sheet.Cell { return sheet.Money(m.Captured, m.Currency) }},
	{"payment_refunded", "Платёж, возвращено", func(m payments.Movement) sheet.Cell { return sheet.Money(m.Refunded, m.Currency) }},
	{"payment_fee", "Платёж, комиссия", func(m payments.Movement) sheet.Cell { return sheet.Money(m.TotalFee, m.Currency) }},
	{"refund_state", "Возврат", func(m payments.Movement) sheet.Cell { return sheet.Text(m.RefundState()) }},
	{"verified_at", "Проверено", func(m payments.Movement) sheet.Cell { return sheet.Time(m.At) }},
	{"acquirer_paid_at", "Оплачено по данным эквайера", func(m payments.Movement) sheet.Cell { return moment(m.TheirTime) }},
	{"refunded_at", "Возврат проверен", func(m payments.Movement) sheet.Cell { return moment(m.RefundedAt) }},
	{"evidence", "Основание", evidenceOf},
	{"actor", "Кто", func(m payments.Movement) sheet.Cell { return sheet.Text(string(m.Actor)) }},
	{"method", "Способ", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Method) }},
	{"received_at", "Получено", func(m payments.Movement) sheet.Cell { return moment(m.Received) }},
	{"reference", "Документ", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Reference) }},
	{"reason", "Причина", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Reason) }},
	{"decision", "Решение", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Decision) }},
	{"decided_by", "Решил", func(m payments.Movement) sheet.Cell { return sheet.Text(m.DecidedBy) }},
	{"decision_reason", "Причина решения", func(m payments.Movement) sheet.Cell { return sheet.Text(m.DecisionReason) }},
	{"decision_reference", "Документ решения", func(m payments.Movement) sheet.Cell { return sheet.Text(m.DecisionReference) }},
	{"receipt", "Чек", func(m payments.Movement) sheet.Cell { return sheet.Text(m.Receipt) }},
	{"receipt_kind", "Вид чека", func(m payments.Movement) sheet.Cell { return sheet.Text(m.ReceiptKind) }},
	{"receipt_state", "Состояние чека", func(m payments.Movement) sheet.Cell { return sheet.Text(m.ReceiptState) }},
}

// evidenceOf marks what rests on a person's word alone.
func evidenceOf(m payments.Movement) sheet.Cell {
	switch {
	case m.Operator():
		return sheet.Text("operator")
	case m.Decision != "": // seen by the acquirer, and accepted by a person
		return sheet.Text("both")
	case m.Fee != 0 || m.Payout != 0:
		return sheet.Text("register")
	}
	return sheet.Text("acquirer")
}

func moment(t *time.Time) sheet.Cell {
	if t == nil {
		return sheet.Cell{}
	}
	return sheet.Time(*t)
}

// maxSpan is the longest export.
const maxSpan = 366 * 24 * time.Hour

// Export answers GET /exports: every movement of money between two days, streamed.
func (s *Service) Export(c *gin.Context) {
	from, err := dayOf(c, "from")
	to, err2 := dayOf(c, "to")
	format := api.GetExportParamsFormat(c.DefaultQuery("format", string(api.Csv)))
	err = errors.Join(err, err2)
	switch {
	case err != nil:
	case to.Before(from):
		err = &bad{"days_reversed", "to is before from."}
	case to.Sub(from) >= maxSpan:
		err = &bad{"days_too_many", "An export holds 366 days at most."}
	case !format.Valid():
		err = &bad{"format_unknown", "format must be csv, xlsx or 1c."}
	}
	if err == nil {
		err = s.Payments.Exported(c.Request.Context(), who(c).tenant, who(c).by, from, to, string(format))
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	err = s.export(c, format, from, to)
	switch {
	case err == nil:
	case !c.Writer.Written():
		c.Writer.Header().Del("Content-Disposition")
		if errors.Is(err, sheet.ErrTooLong) {
			err = &payments.Invalid{Code: "export_too_long", Detail: "A worksheet cannot hold so many rows. Choose fewer days, or CSV."}
		}
		s.fail(c, err)
	default: // a part of a file must not look like the whole
		s.Log.ErrorContext(c.Request.Context(), "export broke off", "tenant", who(c).tenant, "err", err)
		panic(http.ErrAbortHandler)
	}
}

func dayOf(c *gin.Context, name string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, c.Query(name))
	if err != nil {
		return day, &bad{"day_unreadable", name + " must be a day such as 2026-03-31."}
	}
	return day, nil
}

func (s *Service) export(c *gin.Context, format api.GetExportParamsFormat, from, to time.Time) error {
	ctx, w := c.Request.Context(), who(c)
	var zone *time.Location
	err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		zone = me.Settings.Zone()
		return err
	})
	if err != nil {
		return err
	}
	table, err := s.table(c, format, fmt.Sprintf("dealpay-%s-%s", from.Format(time.DateOnly), to.Format(time.DateOnly)), zone)
	if err != nil {
		return err
	}
	cells := make([]sheet.Cell, len(columns))
	for i, column := range columns {
		cells[i] = sheet.Text(column.key)
		if format == api.N1c {
			cells[i] = sheet.Text(column.russian)
		}
	}
	err = table.Row(cells...)
	if err == nil {
		err = s.Payments.Movements(ctx, w.tenant, from, to, func(m payments.Movement) error {
			for i, column := range columns {
				cells[i] = column.cell(m)
			}
			prolong(c)
			return table.Row(cells...)
		})
	}
	if err != nil {
		table.Discard()
		return err
	}
	prolong(c)
	return table.Close()
}

// patience is how long the reader of an export may take for one part of it; the whole may take longer than an answer.
const patience = 30 * time.Second

// prolong moves the deadline of the answer. A connection that has none is no failure.
func prolong(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(patience)) // of the socket, so by the real clock
}

func (s *Service) table(c *gin.Context, format api.GetExportParamsFormat, name string, zone *time.Location) (sheet.Writer, error) {
	kind, ending := "text/csv; charset=utf-8", "csv"
	if format == api.Xlsx {
		kind, ending = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"
	}
	c.Header("Content-Type", kind)
	c.Header("Content-Disposition", `attachment; filename="`+name+"."+ending+`"`)
	c.Header("Cache-Control", "no-store")
	switch format {
	case api.Xlsx:
		return sheet.XLSX(c.Writer, "Payments", zone)
	case api.N1c:
		return sheet.OneC(c.Writer, zone), nil
	}
	return sheet.CSV(c.Writer), nil
}
