package resource

import "strings"

// wildcard is a compiled pattern of IAM: "*" stands for any text, "?" for any
// one byte, all else for itself. Matching costs at most the length of the text
// for each 64 bytes of pattern: whoever writes a policy cannot make requests slow.
type wildcard struct {
	pieces []piece // what stands between stars
	exact  bool    // no star: the single piece is the whole text
}

// piece is a run without stars. masks is set when it holds question marks: bit
// i of masks[b] says that byte b fits position i.
type piece struct {
	text  string
	masks *[256][]uint64
}

func compileWildcard(pattern string) wildcard {
	parts := strings.Split(pattern, "*")
	w := wildcard{exact: len(parts) == 1}
	for _, part := range parts {
		p := piece{text: part}
		if strings.Contains(part, "?") && strings.Trim(part, "?") != "" {
			p.masks = new([256][]uint64)
			words := (len(part) + 63) / 64
			bits := make([]uint64, 256*words)
			for b := range 256 {
				p.masks[b] = bits[b*words : (b+1)*words]
			}
			for i := range len(part) {
				for b := range 256 {
					if part[i] == '?' || part[i] == byte(b) {
						p.masks[b][i/64] |= 1 << (i % 64)
					}
				}
			}
		}
		w.pieces = append(w.pieces, p)
	}
	return w
}

// fits says whether the piece is what text begins with.
func (p piece) fits(text string) bool {
	if len(text) < len(p.text) {
		return false
	}
	for i := range len(p.text) {
		if p.text[i] != '?' && p.text[i] != text[i] {
			return false
		}
	}
	return true
}

// end returns where the leftmost occurrence of the piece in text ends, or -1.
func (p piece) end(text string) int {
	if p.masks == nil {
		if strings.HasPrefix(p.text, "?") { // question marks only
			if len(text) < len(p.text) {
				return -1
			}
			return len(p.text)
		}
		if at := strings.Index(text, p.text); at >= 0 {
			return at + len(p.text)
		}
		return -1
	}
	// Shift-and: bit i of state says that the piece's first i+1 bytes end here.
	state := make([]uint64, (len(p.text)+63)/64)
	last := len(p.text) - 1
	for n := range len(text) {
		carry := uint64(1)
		for w, mask := range p.masks[text[n]] {
			next := state[w] >> 63
			state[w] = (state[w]<<1 | carry) & mask
			carry = next
		}
		if state[last/64]>>(last%64)&1 == 1 {
			return n + 1
		}
	}
	return -1
}

// match says whether the pattern stands for the whole text. Taking each piece
// at its leftmost place is enough: what a star leaves over, the next one takes.
func (w wildcard) match(text string) bool {
	first, last := w.pieces[0], w.pieces[len(w.pieces)-1]
	if w.exact {
		return len(text) == len(first.text) && first.fits(text)
	}
	if len(text) < len(first.text)+len(last.text) || !first.fits(text) || !last.fits(text[len(text)-len(last.text):]) {
		return false
	}
	text = text[len(first.text) : len(text)-len(last.text)]
	for _, p := range w.pieces[1 : len(w.pieces)-1] {
		at := p.end(text)
		if at < 0 {
			return false
		}
		text = text[at:]
	}
	return true
}
