package crm

import (
	"context"
	"slices"
	"strings"
	"time"
)

// FieldType says what a field of deals holds, in words that are the same for every CRM.
type FieldType string

// The types of fields.
const (
	TextField     FieldType = "text"
	NumberField   FieldType = "number"
	MoneyField    FieldType = "money"
	LinkField     FieldType = "link"
	DateField     FieldType = "date"
	DateTimeField FieldType = "date_time"
	OtherField    FieldType = "other" // nothing of ours fits into it
)

// Field is a field of deals that belongs to the customer, not to us.
type Field struct {
	ID       string // how the CRM addresses it
	Name     string
	Type     FieldType
	Writable bool
}

// FieldsReader is implemented by an account whose deals have fields of the customer's own. Ours are left out; the order is
// the CRM's where it has one, else by name.
type FieldsReader interface {
	Fields(ctx context.Context) ([]Field, error)
}

var amountFields = []FieldType{MoneyField, NumberField, TextField}

// fitting are the types of fields that take a value. A list of somebody's own options is none of them: it need not have ours.
var fitting = map[string][]FieldType{"status": {TextField}, "paid": amountFields, "refunded": amountFields, "outstanding": amountFields,
	"link": {LinkField, TextField}, "paid_at": {DateTimeField, DateField}, "refunded_at": {DateTimeField, DateField}, "reference": {TextField}}

// Fits says whether the value of a key of FieldKeys may be written to the field.
func (f Field) Fits(key string) bool { return f.Writable && slices.Contains(fitting[key], f.Type) }

// Nowhere is the field of a value that is not written.
const Nowhere = "-"

// Place is where a value of ours is written: a field of the customer's, or Nowhere.
type Place struct {
	Field string
	Type  FieldType
}

// Places says where values are written that do not go to our own fields: pipeline → key of FieldKeys → place. Our own field
// of such a value is emptied, so that it shows nothing old.
type Places map[string]map[string]Place

// Amount is the amount of a key, nil when the key is none of an amount.
func (s *State) Amount(key string) *Money {
	return map[string]*Money{"paid": &s.Paid, "refunded": &s.Refunded, "outstanding": &s.Outstanding}[key]
}

// Moment is the time of a key, nil when the key is none of a time.
func (s *State) Moment(key string) *time.Time {
	return map[string]*time.Time{"paid_at": &s.PaidAt, "refunded_at": &s.RefundedAt}[key]
}

// Text is the value of a key as people read it in a field of text.
func (s *State) Text(key, lang string) string {
	if m := s.Amount(key); m != nil {
		return strings.TrimSpace(m.Decimal + " " + m.Currency)
	}
	switch key {
	case "status":
		if s.Status == "" {
			return ""
		}
		return s.Status.Label(lang)
	case "link":
		return s.Link
	default:
		return s.Reference
	}
}

// SetText takes the value of a key from a field of text; what cannot be read, and "", is no value.
func (s *State) SetText(key, text string) {
	if m := s.Amount(key); m != nil {
		m.Decimal, m.Currency, _ = strings.Cut(text, " ")
		return
	}
	if at := s.Moment(key); at != nil {
		*at = time.Time{}
		return
	}
	switch key {
	case "status":
		s.Status = StatusOf(text)
	case "link":
		s.Link = text
	case "reference":
		s.Reference = text
	}
}

// StatusOf is the status with this label in any of Langs, or none.
func StatusOf(label string) Status {
	for _, s := range Statuses {
		for _, lang := range Langs {
			if s.Label(lang) == label {
				return s
			}
		}
	}
	return ""
}
