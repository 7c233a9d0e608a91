package paypage

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// Langs are the languages of the page, in the order they are offered.
var Langs = []string{"hy", "ru", "en", "es", "pt"}

// dictionary is one language: its own name, the months as they stand in a date, and the words.
type dictionary struct {
	Name   string            `json:"name"`
	Months []string          `json:"months"`
	Words  map[string]string `json:"words"`
}

//go:embed words
var wordFiles embed.FS

var dictionaries = load()

func load() map[string]dictionary {
	all := map[string]dictionary{}
	for _, lang := range Langs {
		raw, err := wordFiles.ReadFile("words/" + lang + ".json")
		var d dictionary
		if err == nil {
			err = json.Unmarshal(raw, &d)
		}
		if err != nil {
			panic("paypage: words of " + lang + ": " + err.Error()) // a mistake in the sources, seen by every test
		}
		all[lang] = d
	}
	return all
}

func (d dictionary) say(key string, values map[string]string) string {
	word := d.Words[key]
	for name, value := range values {
		word = strings.ReplaceAll(word, "{"+name+"}", value)
	}
	return word
}

// moment writes a time with its offset, since a customer may live in another zone than the seller.
func (d dictionary) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	_, seconds := t.Zone()
	offset := "UTC"
	if seconds != 0 {
		offset = fmt.Sprintf("UTC%+d", seconds/3600)
		if rest := seconds % 3600 / 60; rest != 0 {
			offset += fmt.Sprintf(":%02d", max(rest, -rest))
		}
	}
	return d.say("date", map[string]string{"day": strconv.Itoa(t.Day()), "month": d.Months[t.Month()-1], "year": strconv.Itoa(t.Year()),
		"time": t.Format("15:04") + " (" + offset + ")"})
}

// matcher's first language is what strangers get.
var matcher = language.NewMatcher([]language.Tag{language.English, language.Armenian, language.Russian, language.Spanish, language.Portuguese})

// Pick returns the language for a visitor: the one chosen in the address when it is ours, otherwise the best of the
// browser's Accept-Language.
func Pick(acceptLanguage, queryLang string) string {
	if _, ok := dictionaries[queryLang]; ok {
		return queryLang
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return "en"
	}
	_, i, _ := matcher.Match(wanted...)
	return []string{"en", "hy", "ru", "es", "pt"}[i]
}

// Their sign stands after the amount in every language, as people at home write it.
var signs = map[string]string{"AMD": "֏", "RUB": "₽", "KZT": "₸", "GEL": "₾"}

const (
	space  = "\u00a0" // keeps an amount on one line
	commas = "hy ru es pt"
)

// Money writes an amount with its currency in a language; decimals only when there are some.
func Money(m payments.Money, lang string) string {
	whole, fraction, _ := strings.Cut(m.Decimal(), ".")
	major, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return m.String()
	}
	printer := message.NewPrinter(language.Make(lang))
	text := printer.Sprint(number.Decimal(major))
	if strings.Trim(fraction, "0") != "" {
		point := "."
		if strings.Contains(commas, lang) {
			point = ","
		}
		text += point + fraction
	}
	if sign, ok := signs[m.Currency]; ok {
		return text + space + sign
	}
	unit, err := currency.ParseISO(m.Currency)
	if err != nil {
		return text + space + m.Currency
	}
	sign := printer.Sprint(currency.NarrowSymbol(unit))
	switch lang {
	case "en":
		return sign + text
	case "pt":
		return sign + space + text
	}
	return text + space + sign
}
