package payments

import (
	"context"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/tenants"
)

// Movement is one transaction of the ledger as accountants read it, in one currency. Amounts are minor units.
type Movement struct {
	ID       int64       `db:"id"`
	Day      time.Time   `db:"day"` // in the tenant's time zone, as midnight UTC; never in a month that was locked before
	At       time.Time   `db:"at"`  // when we verified or were told
	Kind     ledger.Kind `db:"kind"`
	Payment  string      `db:"payment"` // attempt, or payment that a person recorded; empty: of no payment
	Invoice  string      `db:"invoice"` // number
	DealID   string      `db:"deal_id"`
	Customer string      `db:"customer"` // how the CRM numbers it; the name stays there
	Acquirer string      `db:"acquirer"`
	Order    string      `db:"order_ref"`    // our order number at the acquirer
	Provider string      `db:"provider_ref"` // the acquirer's own reference
	Currency string      `db:"currency"`

	// Amount is what came from customers, negative when it went back. Fee is what the acquirer kept, Payout what it paid
	// out, and NonCash what was moved between invoices or written off. The first less the second and third is what the
	// acquirers and the till hold more than before.
	Amount  int64 `db:"amount"`
	Fee     int64 `db:"fee"`
	Payout  int64 `db:"payout"`
	NonCash int64 `db:"non_cash"`

	// Of the whole payment, as it is now.
	Captured   int64      `db:"captured"`
	Refunded   int64      `db:"refunded"`
	TotalFee   int64      `db:"total_fee"`
	TheirTime  *time.Time `db:"their_time"`  // of the payment: the acquirer's own word
	RefundedAt *time.Time `db:"refunded_at"` // when we learnt of the newest refund

	// Of what rests on a person's word.
	Actor     tenants.Actor `db:"actor"`
	Method    string        `db:"method"`
	Reference string        `db:"reference"`
	Reason    string        `db:"reason"`
	Received  *time.Time    `db:"received"`

	// What a person decided: of captures about the payment when it was under review; of refunds that they were made although
	// the acquirer does not tell, or that they may be made; of chargebacks that a register is right about them.
	Decision          string `db:"decision"`
	DecidedBy         string `db:"decided_by"`
	DecisionReason    string `db:"decision_reason"`
	DecisionReference string `db:"decision_reference"`

	// The newest fiscal receipt of the payment, or, where money went back, of that.
	Receipt      string `db:"receipt"`
	ReceiptKind  string `db:"receipt_kind"`
	ReceiptState string `db:"receipt_state"`
}

// RefundState says how much of the movement's payment went back: none, partial or full; empty when it is of no payment.
func (m Movement) RefundState() string {
	switch {
	case m.Captured == 0:
		return ""
	case m.Refunded == 0:
		return "none"
	case m.Refunded < m.Captured:
		return "partial"
	}
	return "full"
}

// Operator says whether a person's word is all the evidence there is.
func (m Movement) Operator() bool {
	switch m.Kind {
	case ledger.Manual, ledger.ManualReversed, ledger.RefundOutside, ledger.Moved, ledger.NotOurs, ledger.WriteOff:
		return true
	case ledger.Refund:
		return m.Decision == "refunded"
	}
	return false
}

const movementsSQL = `
	WITH head AS (
		SELECT * FROM ledger_entries WHERE line = 1 AND day BETWEEN $1 AND $2 AND id <= $3 AND (day, id) > ($4, $5) ORDER BY day, id LIMIT $6)
	SELECT h.id, h.day, h.at, h.kind, coalesce(h.attempt_id::text, CASE WHEN h.kind IN ('manual', 'manual_reversed') THEN h.ref END, '') AS payment,
		coalesce(i.number, '') AS invoice, h.deal_id, coalesce(i.customer, '') AS customer, coalesce(a.acquirer, e.acquirer, '') AS acquirer, coalesce(a.reference, '') AS order_ref,
		coalesce(a.provider_ref, CASE WHEN h.ref LIKE 'orphan:%' THEN split_part(h.ref, ':', 3) END, '') AS provider_ref, e.currency, e.amount, e.fee, e.payout, e.non_cash,
		coalesce(p.captured, 0) AS captured, coalesce(p.refunded, 0) AS refunded, coalesce(p.fee, 0) AS total_fee, a.paid_at AS their_time, p.refunded_at,
		coalesce(b.asked_by, h.actor) AS actor, coalesce(b.method, f.method, '') AS method, coalesce(b.reference, f.reference, '') AS reference,
		coalesce(b.reason, f.reason, '') AS reason, f.received, coalesce(d.decision, '') AS decision, coalesce(d.by, '') AS decided_by,
		coalesce(d.reason, '') AS decision_reason, coalesce(d.reference, '') AS decision_reference,
		coalesce(r.number, '') AS receipt, coalesce(r.kind, '') AS receipt_kind, coalesce(r.state, '') AS receipt_state
	FROM head h
	CROSS JOIN LATERAL (
		SELECT currency, min(substr(account, 10)) FILTER (WHERE account LIKE 'acquirer:%') AS acquirer,
			coalesce(sum(minor) FILTER (WHERE (account LIKE 'acquirer:%' OR account = 'cash') AND kind NOT IN ('fee', 'payout')), 0)::bigint AS amount,
			coalesce(sum(minor) FILTER (WHERE account = 'fees'), 0)::bigint AS fee,
			coalesce(sum(minor) FILTER (WHERE account = 'bank'), 0)::bigint AS payout,
			coalesce(sum(CASE WHEN account = 'write_offs' THEN minor WHEN (kind = 'moved' AND account <> 'transfers') OR (kind = 'not_ours' AND account = 'receivable') THEN -minor END), 0)::bigint AS non_cash
		FROM ledger_entries WHERE txn = h.txn GROUP BY currency) e
	LEFT JOIN invoices i ON i.id = h.invoice_id
	LEFT JOIN attempts a ON a.id = h.attempt_id
	LEFT JOIN LATERAL (
		SELECT sum(minor) FILTER (WHERE kind = 'capture' AND account LIKE 'acquirer:%')::bigint AS captured,
			sum(minor) FILTER (WHERE account IN ('customer_refunds', 'chargebacks'))::bigint AS refunded,
			sum(minor) FILTER (WHERE account = 'fees')::bigint AS fee,
			max(at) FILTER (WHERE account IN ('customer_refunds', 'chargebacks')) AS refunded_at
		FROM ledger_entries WHERE attempt_id = h.attempt_id AND currency = e.currency) p ON true
	LEFT JOIN LATERAL (
		SELECT max(evidence->>'method') AS method, max(evidence->>'reference') AS reference, max((evidence->>'received_at')::timestamptz) AS received, max(evidence->>'by') AS by,
			(array_agg(evidence->>'reason' ORDER BY id DESC) FILTER (WHERE at <= h.at))[1] AS reason -- of the deed, not of its undoing
		FROM facts WHERE invoice_id = h.invoice_id
			AND ((h.ref <> '' AND ref = h.ref) OR (h.ref = '' AND h.kind = 'write_off' AND kind = 'resolved' AND decision = 'write_off'))) f ON true
	LEFT JOIN LATERAL ( -- what a person had asked for: by its id, or by the total that the acquirer then told
		SELECT asked_by, method, reference, reason, approved_by FROM refunds r
		WHERE h.kind IN ('refund', 'refund_outside') AND e.amount < 0 AND r.attempt_id = h.attempt_id AND r.currency = e.currency
			AND (r.status = 'done' OR EXISTS (SELECT FROM facts x WHERE x.invoice_id = h.invoice_id AND x.kind = 'refund_failed' AND x.ref = r.id::text))
			AND (r.id::text = h.ref OR (h.kind = 'refund' AND r.method = 'api' AND r.before + r.minor = (SELECT max(minor) FROM facts t
				WHERE t.invoice_id = h.invoice_id AND t.attempt_id = h.attempt_id AND t.kind = 'refund_total' AND t.currency = e.currency AND t.at <= h.at)))
		ORDER BY r.id::text = h.ref DESC, r.status = 'done' DESC LIMIT 1) b ON true
	LEFT JOIN LATERAL (
		(SELECT decision, evidence->>'by' AS by, evidence->>'reason' AS reason, evidence->>'reference' AS reference FROM facts r
		WHERE h.kind = 'capture' AND invoice_id = h.invoice_id AND attempt_id = h.attempt_id AND kind = 'resolved' AND NOT EXISTS (SELECT FROM facts u
			WHERE u.invoice_id = r.invoice_id AND u.attempt_id = r.attempt_id AND u.ref = r.ref AND u.kind = 'unresolved') ORDER BY id DESC LIMIT 1)
		UNION ALL SELECT 'refunded', f.by, f.reason, f.reference WHERE h.kind = 'refund' AND f.by <> ''
		UNION ALL SELECT 'confirmed', f.by, f.reason, f.reference WHERE h.kind = 'chargeback_lost' AND f.by <> ''
		UNION ALL SELECT 'approve', b.approved_by, '', '' WHERE b.approved_by <> '' AND (h.kind = 'refund_outside' OR f.by IS NULL)) d ON true
	LEFT JOIN LATERAL (
		SELECT number, kind, state FROM fiscal_receipts
		WHERE payment = CASE WHEN h.kind IN ('manual', 'manual_reversed') THEN nullif(h.ref, '')::uuid ELSE h.attempt_id END
			AND (kind = 'refund') = (h.kind IN ('refund', 'refund_outside', 'chargeback', 'chargeback_lost', 'manual_reversed')) ORDER BY n DESC LIMIT 1) r ON true
	ORDER BY h.day, h.id, e.currency`

// movementsPage is how many transactions are read at once.
const movementsPage = 500

// Movements hands every movement from one day to another, both included, to each, in order. It reads page by page, so
// that neither memory nor a connection is held for as long as a slow reader takes; what is posted meanwhile is left
// out. An error of each ends it.
func (s *Service) Movements(ctx context.Context, id tenants.ID, from, to time.Time, each func(Movement) error) error {
	var last, day = int64(0), from.AddDate(0, 0, -1)
	var newest int64
	for {
		var page []Movement
		err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			if newest == 0 {
				if err := tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM ledger_entries`).Scan(&newest); err != nil {
					return err
				}
			}
			var err error
			page, err = tenants.Rows[Movement](ctx, tx, movementsSQL, from, to, newest, day, last, movementsPage)
			return err
		})
		if err != nil {
			return fmt.Errorf("read movements: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, m := range page {
			if err := each(m); err != nil {
				return err
			}
		}
		last, day = page[len(page)-1].ID, page[len(page)-1].Day
	}
}

// Exported notes in the audit trail who took which part of the books out.
func (s *Service) Exported(ctx context.Context, id tenants.ID, by By, from, to time.Time, format string) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "export.made"},
			map[string]string{"from": from.Format(time.DateOnly), "to": to.Format(time.DateOnly), "format": format})
	})
}
