package widgets

import (
	"context"
	"net/http"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
)

func paySettingsView(p tenants.PaymentSettings) api.PaymentSettings {
	v := api.PaymentSettings{Routes: []api.Route{}, Rates: map[string]string{}, RefundLimits: map[string]int64{}, Templates: map[string]api.Message{},
		DealTitle: p.DealTitle}
	for _, r := range p.Routes {
		v.Routes = append(v.Routes, api.Route{Currency: r.Currency, Pipeline: r.Pipeline, Acquirers: append([]string{}, r.Acquirers...)})
	}
	for pair, rate := range p.Rates {
		v.Rates[pair] = rate
	}
	for currency, minor := range p.RefundLimits {
		v.RefundLimits[currency] = minor
	}
	for lang, t := range p.Templates {
		v.Templates[lang] = api.Message(t)
	}
	return v
}

// GetPaymentSettings answers GET /settings/payments.
func (s *Service) GetPaymentSettings(c *gin.Context) {
	var view api.PaymentSettings
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		view = paySettingsView(me.Settings.Payments)
		return err
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, view)
}

// PutPaymentSettings answers PUT /settings/payments.
func (s *Service) PutPaymentSettings(c *gin.Context) {
	w := who(c)
	var in api.PaymentSettings
	_, err := decode(c, &in)
	kept := tenants.PaymentSettings{Rates: in.Rates, RefundLimits: in.RefundLimits, Templates: map[string]tenants.Template{}, DealTitle: in.DealTitle}
	for _, r := range in.Routes {
		kept.Routes = append(kept.Routes, tenants.Route{Currency: r.Currency, Pipeline: r.Pipeline, Acquirers: r.Acquirers})
	}
	for lang, t := range in.Templates {
		kept.Templates[lang] = tenants.Template(t)
	}
	if err == nil {
		err = s.Payments.CheckSettings(kept)
	}
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			me, err := tx.Me(ctx)
			if err != nil {
				return err
			}
			me.Settings.Payments = kept
			return tx.SetSettings(ctx, me.Settings, w.by.Actor)
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, paySettingsView(kept))
}

func (s *Service) answerMailbox(c *gin.Context, err error) {
	var box payments.Mailbox
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			box, err = payments.MailboxOf(ctx, tx)
			return err
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, api.Mailbox{Host: box.Host, Port: box.Port, Security: api.MailboxSecurity(box.Security), Username: box.Username,
		Sender: box.Sender, Name: box.Name, CheckedAt: box.CheckedAt.UTC()})
}

// GetMailbox answers GET /settings/mail; 404 when no mail server is connected.
func (s *Service) GetMailbox(c *gin.Context) { s.answerMailbox(c, nil) }

// PutMailbox answers PUT /settings/mail.
func (s *Service) PutMailbox(c *gin.Context) {
	w := who(c)
	var in api.MailboxRequest
	_, err := decode(c, &in)
	if err == nil {
		err = s.Payments.ConnectMailbox(c.Request.Context(), w.tenant, w.by, payments.Mailbox{Host: in.Host, Port: in.Port, Security: mail.Security(in.Security),
			Username: value(in.Username), Password: value(in.Password), Sender: in.Sender, Name: value(in.Name)})
	}
	s.answerMailbox(c, err)
}

// DeleteMailbox answers DELETE /settings/mail.
func (s *Service) DeleteMailbox(c *gin.Context) {
	w := who(c)
	s.empty(c, s.Payments.RemoveMailbox(c.Request.Context(), w.tenant, w.by))
}
