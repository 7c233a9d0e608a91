package payments

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/tenants"
)

// Mailbox is a tenant's mail server as people see it. The password is only ever given.
type Mailbox struct {
	Host      string        `db:"host"`
	Port      int           `db:"port"`
	Security  mail.Security `db:"security"`
	Username  string        `db:"username"`
	Sender    string        `db:"sender"`
	Name      string        `db:"name"`
	CheckedAt time.Time     `db:"checked_at"`

	Sealed   []byte `db:"password"`
	Password string `db:"-"`
}

// mailPorts are those that mail servers take letters at.
var mailPorts = []int{25, 465, 587, 2525}

func mailboxOf(ctx context.Context, tx *tenants.Tx) (Mailbox, error) {
	return one(tenants.Row[Mailbox](ctx, tx, `SELECT host, port, security, username, password, sender, name, checked_at FROM mailboxes WHERE removed_at IS NULL`))
}

// MailboxOf reads the tenant's mail server, without its password. Error: ErrNotFound.
func MailboxOf(ctx context.Context, tx *tenants.Tx) (Mailbox, error) {
	m, err := mailboxOf(ctx, tx)
	m.Sealed = nil
	return m, err
}

// openMailbox reads it with its password, for use outside the transaction. Error: ErrNotFound.
func (s *Service) openMailbox(ctx context.Context, tx *tenants.Tx) (mail.Mailbox, error) {
	m, err := mailboxOf(ctx, tx)
	if err != nil {
		return mail.Mailbox{}, err
	}
	if m.Sealed != nil {
		clear, err := tx.Open("mailbox", m.Sealed)
		if err != nil {
			return mail.Mailbox{}, err
		}
		m.Password = string(clear)
	}
	return m.box(), nil
}

func (m Mailbox) box() mail.Mailbox {
	return mail.Mailbox{Host: m.Host, Port: m.Port, Security: m.Security, Username: m.Username, Password: m.Password, Sender: m.Sender, Name: m.Name}
}

func (m Mailbox) check(local bool) error {
	a, err := netmail.ParseAddress(m.Sender)
	switch {
	case m.Host == "" || len(m.Host) > 253 || strings.ContainsAny(m.Host, ":/@ \r\n"):
		return invalid("host_unusable", "The mail server is a name such as smtp.example.com.")
	case !slices.Contains(mailPorts, m.Port) && !(local && strings.HasSuffix(m.Host, "localhost")):
		return invalid("port_unusable", "Mail servers take letters at port 25, 465, 587 or 2525.")
	case m.Security != mail.TLS && m.Security != mail.StartTLS && m.Security != mail.None:
		return invalid("security_unknown", "The security must be tls, starttls or none.")
	case m.Security == mail.None && m.Username != "":
		return invalid("password_in_the_clear", "A password is only sent over TLS.")
	case err != nil || a.Address != m.Sender || strings.ContainsAny(m.Name, "\r\n") || len(m.Name) > 100:
		return invalid("address_unusable", "The sender must be an e-mail address, its name one line.")
	}
	return nil
}

// ConnectMailbox tries a mail server and keeps it only when it lets us in. An empty password is the one that is kept, as
// long as server and user stay the same. Errors: Invalid, ErrCredentials, ErrUnavailable.
func (s *Service) ConnectMailbox(ctx context.Context, id tenants.ID, by By, m Mailbox) error {
	if err := m.check(s.PostLocal); err != nil {
		return err
	}
	if s.Post.Dial == nil {
		return invalid("mail_off", "This deployment sends no e-mail.")
	}
	if m.Password == "" && m.Username != "" {
		err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			kept, err := s.openMailbox(ctx, tx)
			if err == nil && kept.Host == m.Host && kept.Port == m.Port && kept.Username == m.Username {
				m.Password = kept.Password
			}
			return err
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if m.Password == "" {
			return invalid("credential_missing", "The password is missing.")
		}
	}
	switch err := s.Post.Check(ctx, m.box()); {
	case errors.Is(err, mail.ErrLogin):
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	case err != nil:
		return invalid("mail_unreachable", "The mail server cannot be reached, or does not speak as chosen. Check host, port and security.")
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var sealed []byte
		if m.Password != "" {
			var err error
			if sealed, err = tx.Seal("mailbox", []byte(m.Password)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO mailboxes (tenant_id, host, port, security, username, password, sender, name, checked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant_id) DO UPDATE SET host = excluded.host, port = excluded.port,
			security = excluded.security, username = excluded.username, password = excluded.password, sender = excluded.sender, name = excluded.name,
			checked_at = excluded.checked_at, removed_at = NULL`, tx.Tenant().String(), m.Host, m.Port, string(m.Security), m.Username, sealed,
			m.Sender, m.Name, s.Now()); err != nil {
			return fmt.Errorf("keep the mail server: %w", err)
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "mailbox.connected"}, map[string]any{"host": m.Host, "port": m.Port})
	})
}

// RemoveMailbox forgets the mail server and its password. Error: ErrNotFound.
func (s *Service) RemoveMailbox(ctx context.Context, id tenants.ID, by By) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE mailboxes SET removed_at = $1, password = NULL WHERE removed_at IS NULL`, s.Now())
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "mailbox.removed"}, nil)
	})
}
