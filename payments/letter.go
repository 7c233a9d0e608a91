package payments

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/tenants"
)

// letters are the messages that carry a link where the tenant has written none, by language.
var letters = map[string]tenants.Template{
	"en": {Subject: "{merchant}: payment of {amount}", Text: "Hello,\n\nplease pay {amount} to {merchant} for: {purpose}.\n\n{link}\n\nThe link works until {until}. Invoice {number}."},
	"ru": {Subject: "{merchant}: оплата {amount}", Text: "Здравствуйте!\n\nОплатите, пожалуйста, {amount} — {merchant}, {purpose}.\n\n{link}\n\nСсылка действует до {until}. Счёт {number}."},
	"hy": {Subject: "{merchant}. վճարում՝ {amount}", Text: "Բարև Ձեզ։\n\nԽնդրում ենք վճարել {amount}՝ {merchant}, {purpose}։\n\n{link}\n\nՀղումը գործում է մինչև {until}։ Հաշիվ {number}։"},
	"es": {Subject: "{merchant}: pago de {amount}", Text: "Hola:\n\npague {amount} a {merchant} por: {purpose}.\n\n{link}\n\nEl enlace funciona hasta el {until}. Factura {number}."},
	"pt": {Subject: "{merchant}: pagamento de {amount}", Text: "Olá,\n\npague {amount} a {merchant} por: {purpose}.\n\n{link}\n\nO link funciona até {until}. Fatura {number}."},
}

// Languages are those a message can be in.
var Languages = []string{"hy", "ru", "en", "es", "pt"}

// CheckTemplates refuses messages without the link, in unknown languages, or too long.
func CheckTemplates(all map[string]tenants.Template) error {
	for lang, t := range all {
		switch {
		case letters[lang].Text == "":
			return invalid("language_unknown", "There are no messages in the language %q.", lang)
		case !strings.Contains(t.Text, "{link}"):
			return invalid("template_without_link", "The message must hold {link}.")
		case utf8.RuneCountInString(t.Text) > 4000 || utf8.RuneCountInString(t.Subject) > 200 || t.Subject == "" || strings.ContainsAny(t.Subject, "\r\n"):
			return invalid("template_unusable", "A subject has one line of at most 200 characters, a message at most 4000.")
		}
	}
	return nil
}

// Message is what to send to the customer of an invoice, in a language; the tenant's when it is empty or unknown. What Send
// refuses has none. Errors: ErrExpired, ErrNotPayable.
func (s *Service) Message(ctx context.Context, tx *tenants.Tx, in Invoice, lang string) (tenants.Template, error) {
	if err := in.asks(); err != nil {
		return tenants.Template{}, err
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return tenants.Template{}, err
	}
	link, err := s.URL(ctx, tx, in.ID)
	if err != nil {
		return tenants.Template{}, err
	}
	if letters[lang].Text == "" {
		lang = me.Settings.Language
	}
	t, own := me.Settings.Payments.Templates[lang]
	if !own {
		t = letters[lang]
	}
	zone, err := time.LoadLocation(me.Settings.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	merchant := me.Settings.Merchant
	if merchant == "" {
		merchant = me.Name
	}
	fill := strings.NewReplacer("{merchant}", merchant, "{amount}", written(Money{Minor: in.Outstanding, Currency: in.Currency}, lang), "{purpose}", in.Purpose,
		"{number}", in.Number, "{until}", in.ExpiresAt.In(zone).Format("02.01.2006 15:04"), "{link}", link)
	subject := strings.Join(strings.Fields(fill.Replace(t.Subject)), " ")
	return tenants.Template{Subject: subject, Text: fill.Replace(t.Text)}, nil
}

// written is an amount for people: grouped, decimals only where there are some, the currency's code.
func written(m Money, lang string) string {
	whole, decimals, _ := strings.Cut(m.Decimal(), ".")
	group, point := "\u00a0", ","
	if lang == "en" {
		group, point = ",", "."
	}
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(group)
		}
		b.WriteRune(digit)
	}
	if strings.Trim(decimals, "0") != "" {
		b.WriteString(point + decimals)
	}
	return b.String() + "\u00a0" + m.Currency
}

// compose writes the letter of a send.
func (s *Service) compose(ctx context.Context, tx *tenants.Tx, in Invoice, l letter) (mail.Letter, error) {
	to, err := tx.Open("recipient", l.Recipient)
	if err != nil {
		return mail.Letter{}, err
	}
	t, err := s.Message(ctx, tx, in, l.Language)
	return mail.Letter{To: string(to), Subject: t.Subject, Text: t.Text}, err
}
