() => {
 const ctx=document.createElement('canvas').getContext('2d',{willReadFrequently:true});
 const rgb=(c)=>{ctx.clearRect(0,0,1,1);ctx.fillStyle=c;ctx.fillRect(0,0,1,1);return [...ctx.getImageData(0,0,1,1).data]};
 const lum=([r,g,b])=>{const f=[r,g,b].map(v=>{v/=255;return v<=.03928?v/12.92:((v+.055)/1.055)**2.4});return .2126*f[0]+.7152*f[1]+.0722*f[2]};
 const bgOf=(e)=>{ if(e.closest('svg')){const g=e.closest('.service,.topic');const sh=g&&g.querySelector('.shape'); if(sh&&!e.classList.contains('dead'))return rgb(getComputedStyle(sh).fill); e=e.closest('svg').parentElement;}
   for(;e;e=e.parentElement){const c=rgb(getComputedStyle(e).backgroundColor); if(c[3]>250)return c;} return [255,255,255,255]};
 const out=new Set();
 const w=document.createTreeWalker(document.body,NodeFilter.SHOW_TEXT);
 for(let n;n=w.nextNode();){ const t=n.data.trim(); if(!t)continue; const e=n.parentElement; const r=e.getBoundingClientRect(); if(!r.width||e.closest('.hidden,.skip,[hidden]')||e.matches('option'))continue;
  const s=getComputedStyle(e); const fg=rgb(e.closest('svg')?s.fill:s.color); const bg=bgOf(e); let a=lum(fg),b=lum(bg); if(a<b)[a,b]=[b,a]; const k=(a+.05)/(b+.05); if(k<4.5) out.add(t.slice(0,25)+' '+e.tagName+'.'+(e.className.baseVal??e.className)+' '+k.toFixed(2)); }
 return [...out].slice(0,15)}
