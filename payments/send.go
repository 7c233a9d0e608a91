package payments

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Channel is how a link reached the customer.
type Channel string

// Channels are those that can be logged.
var Channels = []Channel{"copy", "email", "sms", "whatsapp", "telegram", "viber", "crm"}

// maxAddress is the longest e-mail address; phone numbers and names of chats are shorter.
const maxAddress = 254

// Sending is one request to give a link to the customer. To and Language may be empty.
type Sending struct {
	Channel  Channel
	To       string
	Language string // of the message; the tenant's when empty
}

// Send logs that the link was given to the customer and by whom; the first time locks the terms. To an e-mail address it
// is also sent, when the tenant's mail server is connected: that is promised here. Errors: ErrNotFound, ErrNotPayable, ErrExpired, Invalid.
func (s *Service) Send(ctx context.Context, id tenants.ID, by By, invoice uuid.UUID, to Sending) (Invoice, error) {
	if !slices.Contains(Channels, to.Channel) {
		return Invoice{}, invalid("channel_unknown", "The channel %q is not known.", string(to.Channel))
	}
	if to.Language != "" && !slices.Contains(Languages, to.Language) {
		return Invoice{}, invalid("language_unknown", "There are no messages in the language %q.", to.Language)
	}
	if err := to.addressed(); err != nil {
		return Invoice{}, err
	}
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		p, _, err := picture(ctx, tx, in)
		if err != nil {
			return err
		}
		if _, err := state.Decide(p, state.Send); err != nil {
			return errors.Join(in.asks(), err)
		}
		posted, err := s.posts(ctx, tx, to)
		if err != nil {
			return err
		}
		sealed, err := tx.Seal("recipient", []byte(to.To))
		if err != nil {
			return err
		}
		send, status := tenants.NewUUID(), "logged"
		if posted {
			status = "waiting"
		}
		if _, err := tx.Exec(ctx, `INSERT INTO sends (tenant_id, id, invoice_id, channel, recipient, sent_by, at, state, language) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			tx.Tenant().String(), send, invoice, string(to.Channel), sealed, string(by.Actor), s.Now(), status, to.Language); err != nil {
			return fmt.Errorf("log the send: %w", err)
		}
		if posted {
			if err := outbox.Make(ctx, tx, outbox.Email, send.String(), s.Now()); err != nil {
				return err
			}
		}
		if err := s.seal(ctx, tx, in); err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "invoice.sent", DealID: in.DealID, Invoice: &invoice,
			Before: string(in.Status), After: string(in.Status)}, map[string]string{"channel": string(to.Channel), "state": status})
	})
}

// asks refuses an invoice by whose link nobody can pay: a message that asks for money would be wrong. Errors: ErrExpired,
// ErrNotPayable.
func (in Invoice) asks() error {
	switch {
	case payable(in.Status):
		return nil
	case in.Status == state.Expired:
		return ErrExpired
	}
	return ErrNotPayable
}

// phone is how people write a number.
var phone = regexp.MustCompile(`^\+?[0-9 ().-]{4,19}[0-9]$`)

// addressed refuses an address that the channel cannot have: what is logged is what somebody relies on later. By e-mail one is
// needed; elsewhere the person's own program may have known it. Error: Invalid.
func (to Sending) addressed() error {
	if !fit(to.To, maxAddress) {
		return invalid("address_unusable", "This is no address.")
	}
	switch to.Channel {
	case "email":
		if to.To == "" {
			return invalid("address_missing", "Say to which e-mail address: the deal's customer has none in the CRM.")
		}
		if a, err := netmail.ParseAddress(to.To); err != nil || a.Address != to.To {
			return invalid("address_unusable", "This is not an e-mail address.")
		}
	case "sms", "whatsapp", "viber":
		if to.To != "" && !phone.MatchString(to.To) {
			return invalid("address_unusable", "This is not a phone number. Write 5 to 20 digits, with a + before the country.")
		}
	}
	return nil
}

// posts says whether we send this ourselves.
func (s *Service) posts(ctx context.Context, tx *tenants.Tx, to Sending) (bool, error) {
	if to.Channel != "email" || s.Post.Dial == nil {
		return false, nil
	}
	_, err := mailboxOf(ctx, tx)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// letter is a send on its way.
type letter struct {
	InvoiceID uuid.UUID `db:"invoice_id"`
	Recipient []byte    `db:"recipient"`
	State     string    `db:"state"`
	Language  string    `db:"language"`
}

// Deliver keeps the promise to send a link by e-mail. It writes down that it is about to, and never sends the same
// letter again after an unclear end. Errors: ErrUnavailable (try again later).
func (s *Service) Deliver(ctx context.Context, id tenants.ID, send uuid.UUID) (time.Time, error) {
	var box mail.Mailbox
	var msg mail.Letter
	why := ""
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		why = ""
		l, err := one(tenants.Row[letter](ctx, tx, `SELECT invoice_id, recipient, state, language FROM sends WHERE id = $1 FOR UPDATE`, send))
		if err != nil {
			return err
		}
		switch l.State {
		case "waiting":
		case "sending": // an earlier run ended between the call and its record
			why = "unclear"
			return s.delivered(ctx, tx, send, "unclear", "interrupted")
		default:
			why = "done"
			return nil
		}
		in, err := Get(ctx, tx, l.InvoiceID)
		if err != nil {
			return err
		}
		if !payable(in.Status) {
			why = "not_payable"
			return s.delivered(ctx, tx, send, "failed", why)
		}
		if box, err = s.openMailbox(ctx, tx); errors.Is(err, ErrNotFound) {
			why = "no_mailbox"
			return s.delivered(ctx, tx, send, "failed", why)
		} else if err != nil {
			return err
		}
		if msg, err = s.compose(ctx, tx, in, l); err != nil {
			return err
		}
		msg.ID = send.String() + "@dealpay"
		_, err = tx.Exec(ctx, `UPDATE sends SET state = 'sending' WHERE id = $1`, send)
		return err
	})
	if err != nil || why != "" {
		return time.Time{}, err
	}
	return time.Time{}, s.post(ctx, id, send, box, msg)
}

// post sends a letter and records what became of it.
func (s *Service) post(ctx context.Context, id tenants.ID, send uuid.UUID, box mail.Mailbox, msg mail.Letter) error {
	sent := s.Post.Send(ctx, box, msg)
	status, failure := "sent", ""
	switch {
	case errors.Is(sent, mail.ErrAway):
		status = "waiting"
	case errors.Is(sent, mail.ErrLogin):
		status, failure = "failed", "login"
	case errors.Is(sent, mail.ErrRefused):
		status, failure = "failed", "refused"
	case sent != nil:
		status, failure = "unclear", "unclear"
	}
	err := s.DB.In(context.WithoutCancel(ctx), id, func(ctx context.Context, tx *tenants.Tx) error {
		return s.delivered(ctx, tx, send, status, failure)
	})
	if err == nil && status == "waiting" {
		return fmt.Errorf("%w: the mail server", ErrUnavailable)
	}
	return err
}

// delivered records what became of a letter; a final state stands in the audit trail.
func (s *Service) delivered(ctx context.Context, tx *tenants.Tx, send uuid.UUID, status, failure string) error {
	var invoice uuid.UUID
	var deal, before string
	if err := tx.QueryRow(ctx, `UPDATE sends s SET state = $2, failure = $3, sent_at = CASE WHEN $2 = 'sent' THEN $4::timestamptz END
		FROM invoices i WHERE s.id = $1 AND i.tenant_id = s.tenant_id AND i.id = s.invoice_id RETURNING i.id, i.deal_id, i.status`,
		send, status, failure, s.Now()).Scan(&invoice, &deal, &before); err != nil {
		return fmt.Errorf("record the letter: %w", err)
	}
	if status == "waiting" {
		return nil
	}
	return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Timer, Action: "email." + status, DealID: deal, Invoice: &invoice,
		Before: before, After: before}, map[string]string{"failure": failure, "send": send.String()})
}

// Sent is one time a link was given to the customer.
type Sent struct {
	InvoiceID uuid.UUID `db:"invoice_id"`
	Channel   string    `db:"channel"`
	By        string    `db:"sent_by"`
	At        time.Time `db:"at"`
	State     string    `db:"state"`   // logged; by e-mail: waiting, sending, sent, failed, unclear
	Failure   string    `db:"failure"` // a code
}

// Sends lists how these invoices' links reached the customer, in order.
func Sends(ctx context.Context, tx *tenants.Tx, invoices ...uuid.UUID) ([]Sent, error) {
	return tenants.Rows[Sent](ctx, tx, `SELECT invoice_id, channel, sent_by, at, state, failure FROM sends WHERE invoice_id = ANY($1) ORDER BY at`, invoices)
}
