package wire

import "strings"

// numbers are the currencies that the Armenian acquirers' documents name, as they write them (ISO 4217 numbers).
var numbers = map[string]string{"AMD": "051", "EUR": "978", "USD": "840", "RUB": "643"}

// Number is the ISO 4217 number of a currency with its zeros, and whether an Armenian acquirer may know it.
func Number(currency string) (string, bool) {
	n, ok := numbers[currency]
	return n, ok
}

// Currency is the code of an ISO 4217 number, with or without its zeros. An unknown one stays as it is, so that it can
// only be a mismatch.
func Currency(number string) string {
	for code, n := range numbers {
		if strings.TrimLeft(n, "0") == strings.TrimLeft(number, "0") {
			return code
		}
	}
	return number
}
