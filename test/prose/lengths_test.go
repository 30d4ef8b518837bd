package prose

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// limits bound the words of a page's sentences; 0 bounds nothing.
type limits struct{ words, median, ninetieth, longest int }

var (
	limitsOfREADME = limits{words: 700, median: 14, ninetieth: 24, longest: 30}
	limitsOfGuides = limits{median: 14, ninetieth: 24, longest: 40}
	limitsOfPages  = limits{longest: 40}
)

// TestSentenceLengths: README can be read at first sight, and no page holds a sentence that nobody
// can read aloud. With -v it prints a table of all pages.
func TestSentenceLengths(t *testing.T) {
	for _, name := range files(t, ".md") {
		if generated(name) {
			continue
		}
		limit := limitsOfPages
		switch {
		case name == "README.md":
			limit = limitsOfREADME
		case guide(name):
			limit = limitsOfGuides
		}
		text := read(t, name)
		if testing.Verbose() {
			t.Log(name, measure(text))
		}
		for _, complaint := range limit.complaints(text) {
			t.Errorf("%s%s", name, complaint)
		}
	}
}

// measured is what a page's sentences are like, in words.
type measured struct{ words, sentences, median, ninetieth, longest int }

func (m measured) String() string {
	return fmt.Sprintf("%d words, %d sentences: median %d, 90th %d, longest %d", m.words, m.sentences, m.median, m.ninetieth, m.longest)
}

func measure(text string) (m measured) {
	for _, l := range proseLines(text) {
		m.words += countWords(strings.ReplaceAll(l.text, "|", " "))
	}
	var lengths []int
	for _, s := range pageSentences(text) {
		lengths = append(lengths, s.words())
	}
	if m.sentences = len(lengths); m.sentences > 0 {
		slices.Sort(lengths)
		m.median, m.ninetieth, m.longest = lengths[m.sentences/2], lengths[m.sentences*9/10], lengths[m.sentences-1]
	}
	return m
}

func (l limits) complaints(text string) (all []string) {
	m := measure(text)
	for _, c := range []struct {
		is, most int
		what     string
	}{{m.words, l.words, "words outside code"}, {m.median, l.median, "words in the median sentence"}, {m.ninetieth, l.ninetieth, "words in the 90th of 100 sentences"}} {
		if c.most > 0 && c.is > c.most {
			all = append(all, fmt.Sprintf(": %d %s, at most %d", c.is, c.what, c.most))
		}
	}
	for _, s := range pageSentences(text) {
		if s.words() > l.longest {
			all = append(all, fmt.Sprintf(":%d: a sentence of %d words, at most %d: %s", s.number, s.words(), l.longest, s.text))
		}
	}
	return all
}

func TestLimits(t *testing.T) {
	short, long := "Four words are here. ", strings.Repeat("word ", 31)+"end."
	require.Empty(t, limitsOfREADME.complaints(strings.Repeat(short, 20)))
	require.Contains(t, limitsOfREADME.complaints(strings.Repeat(short, 200)), ": 800 words outside code, at most 700")
	require.Contains(t, limitsOfREADME.complaints(short + "\n\n" + long)[0], ": 32 words in the ")
	require.Len(t, limitsOfPages.complaints("One.\n\n"+strings.Repeat("word ", 41)), 1)
}
